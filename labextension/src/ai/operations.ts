import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ICollabClient, IDocumentReference } from '../api/client';
import { ApiError } from '../api/errors';
import type { IGeneration, IReport } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import { nameOf, referenceTo } from '../sessions/find';
import type { Findings, ILiveFinding } from './findings';
import { failedChecks } from './checks';
import { askForWish, type IWish } from './generateDialog';
import type { ILiveLock } from './locks';
import { placesIn } from './places';
import { reviewSuggestion, type TextOf } from './suggestion';
import { textOf } from './texts';

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
    const id = Notification.emit(
      trans.__('Looking for faults in %1…', PathExt.basename(document.path)),
      'in-progress',
      { autoClose: false }
    );
    try {
      const reference = await this._reference(document);
      const report = await this._client.debug(reference);
      this._findings.set(document, report.operation_id, report.findings);
      const count = report.findings.length;
      Notification.update({
        id,
        type: count === 0 ? 'success' : 'info',
        message:
          count === 0
            ? trans.__(
                'Nothing was found in %1.',
                PathExt.basename(document.path)
              )
            : trans._n(
                '%1 finding. It is marked in the text.',
                '%1 findings. They are marked in the text.',
                count
              ),
        autoClose: 4_000
      });
      return report;
    } catch (error) {
      this._failed(id, error);
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
      Notification.error(sentence(error), { autoClose: 8_000 });
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
      Notification.error(sentence(error), { autoClose: 8_000 });
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
    const trans = this._trans;
    const name = PathExt.basename(document.path);
    const wish = await askForWish(name, placesIn(widget, trans), trans);
    if (wish !== null) {
      await this._generate(document, wish);
    }
  }

  private async _generate(document: ILiveDocument, wish: IWish): Promise<void> {
    const trans = this._trans;
    const name = PathExt.basename(document.path);
    const id = Notification.emit(
      trans.__('The AI is writing code for %1…', name),
      'in-progress',
      { autoClose: false }
    );
    try {
      const reference = await this._reference(document);
      const generation = await this._client.generate({ ...reference, ...wish });
      this._asked.set(generation.operation_id, {
        again: async () => this._generate(document, wish),
        // eslint-disable-next-line @typescript-eslint/no-base-to-string
        textOf: cellId => textOf(document.model, cellId)?.toString() ?? ''
      });
      if (generation.applied) {
        this._written(id, generation);
      } else {
        Notification.dismiss(id);
        await this._review(generation, wish.apply);
      }
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'operation_cancelled') {
        Notification.update({
          id,
          type: 'default',
          message: trans.__('It was cancelled; nothing was written.'),
          autoClose: 4_000
        });
        return;
      }
      this._failed(id, error);
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
        Notification.error(sentence(error), { autoClose: 8_000 });
      }
    }
  }

  /** Say that a result of this person was taken back, and offer it anew. */
  async takenBack(operation: string): Promise<void> {
    const generation = this._own.get(operation);
    if (generation !== undefined) {
      await this._review(
        generation,
        true,
        this._trans.__(
          'It was taken back, as together with what was typed at that moment it was no longer sound.'
        )
      );
    }
  }

  private _written(id: string, generation: IGeneration): void {
    const trans = this._trans;
    this._own.set(generation.operation_id, generation);
    const failed = failedChecks(generation);
    Notification.update({
      id,
      type: failed.length === 0 ? 'success' : 'warning',
      message:
        failed.length === 0
          ? trans.__('The code is written.')
          : trans.__(
              'The code is written, but not all is well: %1',
              failed.map(({ detail, name }) => detail ?? name).join('; ')
            ),
      autoClose: 10_000,
      actions: [
        {
          label: trans.__('Undo'),
          callback: () => {
            void this._undo(generation.operation_id);
          }
        }
      ]
    });
  }

  private async _undo(operation: string): Promise<void> {
    try {
      await this._client.undoOperation(operation);
    } catch (error) {
      Notification.error(sentence(error), { autoClose: 8_000 });
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
    const asked = this._asked.get(generation.operation_id);
    const decision = await reviewSuggestion(
      generation,
      reason,
      asked?.textOf ?? (() => ''),
      trans
    );
    if (decision.kind !== 'insert') {
      this._asked.delete(generation.operation_id);
      if (decision.kind === 'retry') {
        await asked?.again();
      }
      return;
    }
    const id = Notification.emit(trans.__('Writing…'), 'in-progress', {
      autoClose: false
    });
    try {
      const { operation_id: operation } = generation;
      this._written(
        id,
        await this._client.applyOperation(operation, decision.edits)
      );
    } catch (error) {
      this._failed(id, error);
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

  private _failed(id: string, error: unknown): void {
    Notification.update({
      id,
      type: 'error',
      message: sentence(error),
      autoClose: 10_000
    });
  }

  /** How results of this page are made anew, and where they belong. */
  private readonly _asked = new Map<
    string,
    { again: () => Promise<void>; textOf: TextOf }
  >();
  /** Results of this page that were written and may be taken back. */
  private readonly _own = new Map<string, IGeneration>();
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Return whether what a fix was for is no longer there. */
function isGone({ reason }: ApiError): boolean {
  return reason === 'not_found' || reason === 'stale_document';
}
