import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ILiveDocument } from '../documents/liveDocument';
import { Bar } from '../ui/bar';
import type { ILiveLock, Locks } from './locks';
import { positionOf } from './positions';
import { cellNumber } from './texts';

export interface ILocksBarOptions {
  readonly document: ILiveDocument;
  readonly locks: Locks;
  /** The username of the person in this browser. */
  readonly me: () => string;
  readonly trans: TranslationBundle;
  readonly cancel: (document: ILiveDocument, held: ILiveLock) => void;
  readonly show: (document: ILiveDocument, held: ILiveLock) => void;
}

/**
 * Says above a document that the AI is at work in it: for whom, where, and how to end it.
 */
export class LocksBar extends Bar {
  constructor(private readonly _options: ILocksBarOptions) {
    super();
  }

  protected override renderContent(): React.ReactElement {
    return (
      <UseSignal signal={this._options.locks.changed}>
        {() => (
          <>
            {this._options.locks
              .of(this._options.document)
              .map(held => this._renderLock(held))}
          </>
        )}
      </UseSignal>
    );
  }

  private _renderLock(held: ILiveLock): React.ReactElement {
    const { document, trans, me, cancel, show } = this._options;
    const { lock } = held;
    const mine = lock.holder.username === me();
    return (
      <div key={lock.id} className="jp-CollabAI-banner jp-mod-ai">
        <span className="jp-CollabAI-spark" aria-hidden="true" />
        <span className="jp-CollabAI-grow">
          {mine
            ? trans.__('The AI is writing for you, %1.', this._place(held))
            : trans.__(
                'The AI is writing for %1, %2.',
                lock.holder.display_name,
                this._place(held)
              )}
        </span>
        {held.anchor !== null && (
          <button
            type="button"
            className="jp-Button jp-mod-styled jp-mod-small"
            onClick={() => {
              show(document, held);
            }}
          >
            {trans.__('Show')}
          </button>
        )}
        {(document.may('cancel_any') ||
          (mine && document.may('cancel_own'))) && (
          <button
            type="button"
            className="jp-Button jp-mod-styled jp-mod-small"
            onClick={() => {
              cancel(document, held);
            }}
          >
            {trans.__('Cancel')}
          </button>
        )}
      </div>
    );
  }

  private _place({ lock, anchor }: ILiveLock): string {
    const { document, trans } = this._options;
    if (lock.scope === 'document') {
      return trans.__('in the whole document');
    }
    const cell = cellNumber(document.model, lock.location?.cell_id ?? null);
    const range = anchor?.range;
    if (cell !== null) {
      return trans.__('at cell %1', cell);
    }
    if (!range) {
      return trans.__('in this document');
    }
    const text = anchor.text.toJSON();
    const from = positionOf(text, range.from).line;
    const to = positionOf(text, range.to).line;
    return from === to
      ? trans.__('at line %1', from)
      : trans.__('in lines %1 to %2', from, to);
  }
}
