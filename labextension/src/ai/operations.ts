import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ICollabClient, IDocumentReference } from '../api/client';
import { ApiError, sentenceOf } from '../api/errors';
import type { IGeneration, IReport, ITarget } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import { nameOf, referenceTo } from '../sessions/find';
import { Progress, tellFailure } from '../ui/toasts';
import type { Findings, ILiveFinding } from './findings';
import { failedChecks } from './checks';
import { askForWish, type IQuestion, type IWish } from './generateDialog';
import type { ILiveLock } from './locks';
import { placesIn } from './places';
import { reviewSuggestion, type TextOf } from './suggestion';
import { textOf } from './texts';

/** What the AI has made in this page. */
interface IResult {
  readonly document: ILiveDocument;
  readonly generation: IGeneration;
  /** Make it anew. */
  readonly again: () => Promise<void>;
  /** Return the texts that it is for. */
  readonly textOf: TextOf;
}

/**
 * Runs the debugger and the generator, and tells the person what comes of it.
 */
export class Operations {
  constructor(
    private readonly _client: ICollabClient,
    private readonly _findings: Findings,
    private readonly _trans: TranslationBundle
  ) {}

  /** Look for faults; null where it was not possible, of which the person is told. */
  async debug(document: ILiveDocument): Promise<IReport | null> {
    const trans = this._trans;
    const name = PathExt.basename(document.path);
    const progress = new Progress(
      trans.__('Looking for faults in %1…', name),
      trans
    );
    try {
      const reference = await this._reference(document);
      const report = await this._client.debug(reference);
      this._findings.set(document, report.operation_id, report.findings);
      const count = report.findings.length;
      progress.end(
        count === 0
          ? trans.__('Nothing was found in %1.', name)
          : trans._n(
              '%1 finding. It is marked in the text.',
              '%1 findings. They are marked in the text.',
              count
            ),
        count === 0 ? 'success' : 'info',
        { autoClose: 4_000 }
      );
      return report;
    } catch (error) {
      progress.fail(error);
      return null;
    }
  }

  async applyFix(
    document: ILiveDocument,
    { finding }: ILiveFinding
  ): Promise<void> {
    try {
      await this._client.applyFix(finding.id);
      this._findings.remove(document, new Set([finding.id]));
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'not_found') {
        this._findings.remove(document, new Set([finding.id]));
      }
      this._failed(error);
    }
  }

  /** Apply several fixes, one after the other; those whose text is gone meanwhile are left. */
  async applyFixes(
    document: ILiveDocument,
    found: readonly ILiveFinding[]
  ): Promise<void> {
    const trans = this._trans;
    let applied = 0;
    try {
      for (const { finding, anchor } of found) {
        if (!anchor?.intact) {
          continue;
        }
        try {
          await this._client.applyFix(finding.id);
          applied += 1;
        } catch (error) {
          if (!(error instanceof ApiError && isGone(error))) {
            throw error;
          }
        }
        this._findings.remove(document, new Set([finding.id]));
      }
    } catch (error) {
      this._failed(error);
    }
    const left = found.length - applied;
    const message =
      left === 0
        ? trans._n('%1 fix was applied.', '%1 fixes were applied.', applied)
        : trans.__(
            '%1 of %2 fixes were applied; look for faults again to see the rest.',
            applied,
            found.length
          );
    Notification.emit(message, left === 0 ? 'success' : 'warning', {
      autoClose: 6_000
    });
  }

  /** Ask what is to be written and where, and have it written. */
  async generate(
    document: ILiveDocument,
    widget: DocumentWidget
  ): Promise<void> {
    const wish = await this._ask(document, widget);
    if (wish !== null) {
      await this._generate(document, widget, wish);
    }
  }

  private async _ask(
    document: ILiveDocument,
    widget: DocumentWidget,
    again?: IQuestion['again']
  ): Promise<IWish | null> {
    const trans = this._trans;
    return askForWish(
      {
        name: PathExt.basename(document.path),
        model: document.model,
        places: placesIn(document, widget, trans),
        ...(again === undefined ? {} : { again })
      },
      trans
    );
  }

  private async _generate(
    document: ILiveDocument,
    widget: DocumentWidget,
    wanted: IWish
  ): Promise<void> {
    const trans = this._trans;
    const { place, ...wish } = wanted;
    const targetNow = (): ITarget | null => {
      if (document.isDisposed) {
        return null;
      }
      return place === undefined ? { mode: 'append' } : place.target();
    };
    if (targetNow() === null) {
      await this._askAgain(document, widget, wanted);
      return;
    }
    const progress = new Progress(
      trans.__(
        'The AI is writing code for %1…',
        PathExt.basename(document.path)
      ),
      trans
    );
    this._underway += 1;
    try {
      const reference = await this._reference(document);
      // Not before: people type on while the wish is thought of.
      const target = targetNow();
      if (target === null) {
        progress.dismiss();
        void this._askAgain(document, widget, wanted);
        return;
      }
      const generation = await this._client.generate({
        ...reference,
        ...wish,
        target
      });
      this._remember(document, generation, async () =>
        this._generate(document, widget, wanted)
      );
      await this._tellResult(progress, generation, wish.apply);
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'operation_cancelled') {
        progress.end(
          trans.__('It was cancelled; nothing was written.'),
          'default',
          { autoClose: 4_000 }
        );
        return;
      }
      progress.fail(error);
    } finally {
      this._settle();
    }
  }

  /** The text of the place that was chosen has changed; nobody wants other lines replaced. */
  private async _askAgain(
    document: ILiveDocument,
    widget: DocumentWidget,
    wish: IWish
  ): Promise<void> {
    const trans = this._trans;
    if (document.isDisposed || widget.isDisposed) {
      tellFailure(
        trans.__(
          'Nothing was written, as %1 was closed meanwhile; open it and ask again.',
          PathExt.basename(document.path)
        ),
        trans
      );
      return;
    }
    const next = await this._ask(document, widget, {
      wish,
      why: trans.__(
        'Nothing was written, as the text there has changed meanwhile. Choose the place again.'
      )
    });
    if (next !== null) {
      await this._generate(document, widget, next);
    }
  }

  async cancel(document: ILiveDocument, { lock }: ILiveLock): Promise<void> {
    if (document.session === null) {
      return;
    }
    try {
      await this._client.breakLock(document.session, lock.id);
    } catch (error) {
      // It may have ended by itself.
      if (!(error instanceof ApiError && error.status === 404)) {
        this._failed(error);
      }
    }
  }

  /** Say that a result of this person was taken back, and offer it anew. */
  async takenBack(operation: string): Promise<void> {
    const result = this._results.get(operation);
    if (result !== undefined) {
      await this._offerAnew(result.generation);
    } else if (this._underway > 0) {
      // The answer that says that it was written may be still on its way.
      this._early.add(operation);
    }
  }

  private async _offerAnew(generation: IGeneration): Promise<void> {
    await this._review(
      generation,
      true,
      this._trans.__(
        'It was taken back, as together with what was typed at that moment it was no longer sound.'
      )
    );
  }

  private async _tellResult(
    progress: Progress,
    generation: IGeneration,
    wasWanted: boolean
  ): Promise<void> {
    const { operation_id: operation } = generation;
    if (!generation.applied) {
      progress.dismiss();
      await this._review(generation, wasWanted);
    } else if (this._early.delete(operation)) {
      progress.dismiss();
      await this._offerAnew(generation);
    } else {
      this._written(progress, generation);
    }
  }

  private _written(progress: Progress, generation: IGeneration): void {
    const trans = this._trans;
    const failed = failedChecks(generation);
    progress.end(
      failed.length === 0
        ? trans.__('The code is written.')
        : trans.__(
            'The code is written, but not all is well: %1',
            failed.map(({ detail, name }) => detail ?? name).join('; ')
          ),
      failed.length === 0 ? 'success' : 'warning',
      {
        autoClose: 10_000,
        actions: [
          {
            label: trans.__('Undo'),
            callback: () => {
              void this._undo(generation.operation_id);
            }
          }
        ]
      }
    );
  }

  private async _undo(operation: string): Promise<void> {
    try {
      await this._client.undoOperation(operation);
    } catch (error) {
      this._failed(error);
    }
  }

  private async _review(
    generation: IGeneration,
    wasWanted: boolean,
    why?: string
  ): Promise<void> {
    const trans = this._trans;
    const reason =
      why ??
      (generation.reason === 'stale_document'
        ? trans.__(
            'It was not written, because the text there has changed meanwhile.'
          )
        : wasWanted
          ? trans.__('It was not written, because it did not pass the checks.')
          : '');
    const { operation_id: operation } = generation;
    const result = this._results.get(operation);
    const decision = await reviewSuggestion(
      generation,
      reason,
      result?.textOf ?? (() => ''),
      trans
    );
    if (decision.kind !== 'insert') {
      this._results.delete(operation);
      if (decision.kind === 'retry') {
        await result?.again();
      }
      return;
    }
    const progress = new Progress(trans.__('Writing…'), trans);
    this._underway += 1;
    try {
      const written = await this._client.applyOperation(
        operation,
        decision.edits
      );
      if (result !== undefined) {
        this._remember(result.document, written, result.again);
      }
      await this._tellResult(progress, written, true);
    } catch (error) {
      progress.fail(error);
    } finally {
      this._settle();
    }
  }

  /**
   * Return how a document is named in calls. One that is not shared yet gets a session in which
   * nobody else is: the AI works in sessions.
   */
  private async _reference(
    document: ILiveDocument
  ): Promise<IDocumentReference> {
    const { path, session: id } = document;
    const session =
      id === null
        ? await this._client.createSession(nameOf(path), path)
        : await this._client.session(id);
    return referenceTo(session, path);
  }

  /** Keep a result, which may be taken back or made anew, as long as its document is here. */
  private _remember(
    document: ILiveDocument,
    generation: IGeneration,
    again: () => Promise<void>
  ): void {
    if (document.isDisposed) {
      return;
    }
    this._results.set(generation.operation_id, {
      document,
      generation,
      again,
      textOf: cellId => textOf(document.model, cellId)?.toJSON() ?? ''
    });
    document.disposed.connect(this._forget, this);
  }

  private _forget(document: ILiveDocument): void {
    for (const [operation, result] of this._results) {
      if (result.document === document) {
        this._results.delete(operation);
      }
    }
  }

  private _settle(): void {
    this._underway -= 1;
    if (this._underway === 0) {
      this._early.clear();
    }
  }

  private _failed(error: unknown): void {
    tellFailure(sentenceOf(error, this._trans), this._trans);
  }

  private readonly _results = new Map<string, IResult>();
  /** Calls that may write, and whose answers are awaited. */
  private _underway = 0;
  /** Operations that were taken back before their answers came; of anybody. */
  private readonly _early = new Set<string>();
}

/** Return whether what a fix was for is no longer there. */
function isGone({ reason }: ApiError): boolean {
  return reason === 'not_found' || reason === 'stale_document';
}
