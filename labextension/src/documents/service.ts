import { type ISignal, Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { Ending } from './provider';
import type {
  ILiveDocument,
  ILiveDocuments,
  LiveDocument,
  SharedDocument
} from './liveDocument';
import { isDocumentWidget } from './widgets';

/** A document that can't go on as it is. */
export interface IEnded {
  readonly document: LiveDocument;
  readonly ending: Ending;
}

export class LiveDocuments implements ILiveDocuments {
  get added(): ISignal<this, LiveDocument> {
    return this._added;
  }

  /** Emitted when a document can't go on as it is. */
  get ended(): ISignal<this, IEnded> {
    return this._ended;
  }

  [Symbol.iterator](): Iterator<LiveDocument> {
    return this._documents.values();
  }

  each(callback: (document: LiveDocument) => void): void {
    for (const document of this) {
      callback(document);
    }
    this._added.connect((_, document) => {
      callback(document);
    });
  }

  add(document: LiveDocument): void {
    this._documents.set(document.model, document);
    document.disposed.connect(() => {
      this._documents.delete(document.model);
    });
    this._added.emit(document);
  }

  end(document: LiveDocument, ending: Ending): void {
    this._ended.emit({ document, ending });
  }

  find(model: unknown): LiveDocument | null {
    const found = this._documents.get(model as SharedDocument);
    if (found !== undefined) {
      return found;
    }
    // A cell knows its notebook.
    if (typeof model === 'object' && model !== null && 'notebook' in model) {
      return this._documents.get(model.notebook as SharedDocument) ?? null;
    }
    return null;
  }

  of(widget: Widget | null): ILiveDocument | null {
    return isDocumentWidget(widget)
      ? this.find(widget.context.model.sharedModel)
      : null;
  }

  private readonly _documents = new Map<SharedDocument, LiveDocument>();
  private readonly _added = new Signal<this, LiveDocument>(this);
  private readonly _ended = new Signal<this, IEnded>(this);
}
