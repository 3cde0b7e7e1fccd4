import { type ISignal, Signal } from '@lumino/signaling';

import type { IFinding } from '../api/types';
import type { ILiveDocument, ILiveDocuments } from '../documents/liveDocument';
import { Anchor, rangeOf } from './positions';
import { textOf } from './texts';

/** Milliseconds after the last change of a text before it is asked which findings still hold. */
const PAUSE = 400;

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
 * sees what was found in it, whoever asked.
 */
export class Findings {
  constructor(documents: ILiveDocuments) {
    documents.each(document => {
      document.happened.connect((_, { event, data }) => {
        if (event === 'finding' && Array.isArray(data.findings)) {
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

  private readonly _reviews = new Map<ILiveDocument, IReview>();
  private readonly _changed = new Signal<this, ILiveDocument>(this);
}
