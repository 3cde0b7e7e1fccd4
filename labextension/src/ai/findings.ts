import { type ISignal, Signal } from '@lumino/signaling';

import type { ICollabClient } from '../api/client';
import type { IFinding, IFound } from '../api/types';
import type { ILiveDocument, ILiveDocuments } from '../documents/liveDocument';
import { referenceTo } from '../sessions/find';
import { Anchor, rangeOf } from './positions';
import { textOf } from './texts';

/** Milliseconds after the last change of a text before it is asked which findings still hold. */
const PAUSE = 400;

/** Times that is asked for what was found before, where the text changes meanwhile. */
const MOST_TRIES = 3;

/** A finding in a live document. */
export interface ILiveFinding {
  readonly finding: IFinding;
  /** Null where its text was gone already when it came. */
  readonly anchor: Anchor | null;
}

/** What the debugger last said of a document. */
export interface IReview {
  readonly operation: string;
  readonly findings: readonly ILiveFinding[];
}

/**
 * What the debugger has found in the documents of this page. Everybody who has a document open
 * sees what was found in it, whoever asked, and also who opens it later.
 */
export class Findings {
  constructor(
    documents: ILiveDocuments,
    private readonly _client: ICollabClient
  ) {
    documents.each(document => {
      /** Whether something may have been found that this page was not told of. */
      let missed = false;
      const readMissed = (): void => {
        // Before the document is here, there is no text that a place could be in.
        if (
          missed &&
          document.session !== null &&
          document.connection === 'online'
        ) {
          missed = false;
          void this._read(document);
        }
      };
      document.changed.connect(readMissed);
      document.happened.connect((_, { event, data }) => {
        if (event === 'resync') {
          missed = true;
          readMissed();
        } else if (event === 'finding' && Array.isArray(data.findings)) {
          this.set(
            document,
            String(data.operation),
            data.findings as IFinding[]
          );
        }
      });
      let timer: number | undefined;
      const { ydoc } = document.model;
      const onUpdate = (): void => {
        if (this._reviews.has(document)) {
          window.clearTimeout(timer);
          timer = window.setTimeout(() => {
            this._changed.emit(document);
          }, PAUSE);
        }
      };
      ydoc.on('update', onUpdate);
      document.disposed.connect(() => {
        window.clearTimeout(timer);
        ydoc.off('update', onUpdate);
        this._reviews.delete(document);
      });
    });
  }

  /** Emitted with the document whose findings have changed. */
  get changed(): ISignal<this, ILiveDocument> {
    return this._changed;
  }

  /** Return what was found; null where nobody has asked yet. */
  of(document: ILiveDocument): IReview | null {
    return this._reviews.get(document) ?? null;
  }

  set(
    document: ILiveDocument,
    operation: string,
    findings: readonly IFinding[]
  ): void {
    if (
      document.isDisposed ||
      this._reviews.get(document)?.operation === operation
    ) {
      return;
    }
    this._reviews.set(document, {
      operation,
      findings: findings.map(finding => {
        const text = textOf(document.model, finding.location.cell_id ?? null);
        return {
          finding,
          anchor:
            text === null
              ? null
              : new Anchor(text, rangeOf(text.toJSON(), finding.location))
        };
      })
    });
    this._changed.emit(document);
  }

  /** Take findings out of the list: their faults are mended, or they were dismissed. */
  remove(document: ILiveDocument, ids: ReadonlySet<string>): void {
    const review = this._reviews.get(document);
    if (review !== undefined) {
      this._reviews.set(document, {
        ...review,
        findings: review.findings.filter(({ finding }) => !ids.has(finding.id))
      });
      this._changed.emit(document);
    }
  }

  /** Read what was found before this page followed, unless something newer comes meanwhile. */
  private async _read(document: ILiveDocument): Promise<void> {
    const { session } = document;
    const review = this._reviews.get(document);
    let changes = 0;
    const onUpdate = (): void => {
      changes += 1;
    };
    const { ydoc } = document.model;
    ydoc.on('update', onUpdate);
    try {
      for (let tries = 1; tries <= MOST_TRIES; tries++) {
        const before = changes;
        const found = await this._ask(document);
        if (
          found === null ||
          document.isDisposed ||
          document.session !== session ||
          this._reviews.get(document) !== review
        ) {
          return;
        }
        // Places are those of a text that may be another one by now.
        if (changes === before || tries === MOST_TRIES) {
          if (found.operation_id !== null) {
            this.set(document, found.operation_id, found.items);
          }
          return;
        }
      }
    } finally {
      ydoc.off('update', onUpdate);
    }
  }

  private async _ask(document: ILiveDocument): Promise<IFound | null> {
    const { path, session } = document;
    if (session === null) {
      return null;
    }
    try {
      return await this._client.findings(
        referenceTo(await this._client.session(session), path)
      );
    } catch {
      return null; // The next connection reads them again.
    }
  }

  private readonly _reviews = new Map<ILiveDocument, IReview>();
  private readonly _changed = new Signal<this, ILiveDocument>(this);
}
