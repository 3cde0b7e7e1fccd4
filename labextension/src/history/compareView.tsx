import type { Extension } from '@codemirror/state';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';

import { cellsOf, type ICellPair, pairCells } from './cells';
import { CompareText, type IDifference } from './compareText';
import type { HistoryModel, IComparison } from './model';
import { clockOf, dayOf, madeBy } from './words';

/** Return how a text of a kind is coloured. */
export type Colours = (
  kind: 'document' | 'code' | 'markdown' | 'raw'
) => readonly Extension[];

export interface ICompareViewOptions {
  readonly model: HistoryModel;
  readonly colours: Colours;
  readonly trans: TranslationBundle;
  /** Ask how the version is to be called. */
  readonly askName: () => void;
}

/**
 * What a version has changed, or how it differs from what is now.
 */
export class CompareView extends Panel {
  constructor(private readonly _options: ICompareViewOptions) {
    super();
    this.addClass('jp-CollabAI-compare');
    this._body = new Panel();
    this._body.addClass('jp-CollabAI-compareBody');
    this.addWidget(ReactWidget.create(<Head {..._options} />));
    this.addWidget(this._body);
    _options.model.stateChanged.connect(this._update, this);
  }

  override dispose(): void {
    this._options.model.stateChanged.disconnect(this._update, this);
    super.dispose();
  }

  private _update(): void {
    const { comparison } = this._options.model;
    if (comparison === this._shown) {
      return;
    }
    this._shown = comparison;
    for (const widget of [...this._body.widgets]) {
      widget.dispose();
    }
    if (comparison !== null) {
      for (const widget of this._widgets(comparison)) {
        this._body.addWidget(widget);
      }
    }
  }

  private _widgets(comparison: IComparison): Widget[] {
    const { colours } = this._options;
    const before = comparison.before?.content ?? '';
    const after = comparison.after.content;
    if (typeof after === 'string' && typeof before === 'string') {
      return before === after
        ? [this._same()]
        : [
            new CompareText({
              before,
              after,
              extensions: colours('document'),
              labels: this._labels(),
              ...this._restoring()
            })
          ];
    }
    const pairs = pairCells(cellsOf(before), cellsOf(after));
    const changed = pairs.some(({ change }) => change !== 'same');
    return changed ? this._cells(pairs) : [this._same()];
  }

  private _cells(pairs: readonly ICellPair[]): Widget[] {
    const trans = this._options.trans;
    const widgets: Widget[] = [];
    let same = 0;
    const fold = (): void => {
      if (same > 0) {
        widgets.push(
          note(trans._n('%1 unchanged cell', '%1 unchanged cells', same))
        );
        same = 0;
      }
    };
    pairs.forEach((pair, index) => {
      if (pair.change === 'same') {
        same += 1;
        return;
      }
      fold();
      widgets.push(this._cell(pair, index + 1));
    });
    fold();
    return widgets;
  }

  private _cell(pair: ICellPair, number: number): Widget {
    const { model, colours, trans } = this._options;
    const { before, after, change } = pair;
    const cell = after ?? before;
    const panel = new Panel();
    panel.addClass('jp-CollabAI-compareCell');
    if (cell === null) {
      return panel;
    }
    const words: Record<ICellPair['change'], string> = {
      same: '',
      added: trans.__('Cell %1: added', number),
      removed: trans.__('Cell %1: removed', number),
      changed: trans.__('Cell %1: changed', number),
      moved: trans.__('Cell %1: moved', number)
    };
    panel.addWidget(
      ReactWidget.create(
        <div className="jp-CollabAI-row">
          <h3 className="jp-CollabAI-grow">{words[change]}</h3>
          {this._restoring().restore !== undefined && before !== null && (
            <button
              type="button"
              className="jp-Button jp-mod-styled jp-mod-small"
              onClick={() => {
                void model.restoreCell(before.id);
              }}
            >
              {trans.__('Bring this cell back')}
            </button>
          )}
        </div>
      )
    );
    const kind =
      cell.type === 'code' || cell.type === 'markdown' ? cell.type : 'raw';
    if (before?.source !== after?.source) {
      panel.addWidget(
        new CompareText({
          before: before?.source ?? '',
          after: after?.source ?? '',
          extensions: colours(kind),
          labels: this._labels()
        })
      );
    }
    if ((before?.outputs ?? '') !== (after?.outputs ?? '')) {
      panel.addWidget(note(trans.__('Output')));
      panel.addWidget(
        new CompareText({
          before: before?.outputs ?? '',
          after: after?.outputs ?? '',
          extensions: [],
          labels: this._labels()
        })
      );
    }
    return panel;
  }

  private _same(): Widget {
    return note(this._options.trans.__('There is no difference.'));
  }

  private _labels(): [string, string] {
    const trans = this._options.trans;
    return this._options.model.against === 'now'
      ? [trans.__('This version'), trans.__('Now')]
      : [trans.__('Before'), trans.__('This version')];
  }

  /** Parts of a version that is compared with what is now can be brought back. */
  private _restoring(): {
    restore?: { label: string; run: (difference: IDifference) => void };
  } {
    const { model, trans } = this._options;
    return model.against === 'now' && model.mayChange
      ? {
          restore: {
            label: trans.__('Bring this part back'),
            run: difference => {
              void model.restorePart(difference);
            }
          }
        }
      : {};
  }

  private _shown: IComparison | null = null;
  private readonly _body: Panel;
}

function Head(props: ICompareViewOptions): React.ReactElement {
  const { model } = props;
  return (
    <UseSignal signal={model.stateChanged}>
      {() => <HeadContent {...props} />}
    </UseSignal>
  );
}

function HeadContent(props: ICompareViewOptions): React.ReactElement {
  const { model, trans, askName } = props;
  const { selected, error } = model;
  return (
    <>
      {error !== null && (
        <p role="alert" className="jp-CollabAI-problem">
          {error}
        </p>
      )}
      {selected !== null && (
        <div className="jp-CollabAI-row jp-CollabAI-compareHead">
          <span className="jp-CollabAI-grow">
            <strong>
              {selected.name ??
                `${dayOf(selected.to, new Date(), trans)}, ${clockOf(selected.to)}`}
            </strong>{' '}
            <small>{madeBy(selected, trans)}</small>
          </span>
          <select
            disabled={selected.beside}
            aria-label={trans.__('Compare')}
            value={model.against}
            onChange={event => {
              void model.select(
                selected,
                event.target.value === 'now' ? 'now' : 'before'
              );
            }}
          >
            <option value="before">{trans.__('What it changed')}</option>
            <option value="now">{trans.__('Against what is now')}</option>
          </select>
          {model.mayChange && (
            <>
              <button
                type="button"
                className="jp-Button jp-mod-styled jp-mod-small"
                disabled={model.busy}
                onClick={askName}
              >
                {selected.name
                  ? trans.__('Rename…')
                  : trans.__('Name this version…')}
              </button>
              {selected.name && (
                <button
                  type="button"
                  className="jp-Button jp-mod-styled jp-mod-small"
                  disabled={model.busy}
                  onClick={() => {
                    void model.unname();
                  }}
                >
                  {selected.beside
                    ? trans.__('Delete it')
                    : trans.__('Remove name')}
                </button>
              )}
              <button
                type="button"
                className="jp-Button jp-mod-styled jp-mod-small jp-mod-accept"
                disabled={model.busy || model.isNewest}
                onClick={() => {
                  void model.restore();
                }}
              >
                {trans.__('Restore this version')}
              </button>
            </>
          )}
        </div>
      )}
      {selected !== null && model.comparison === null && error === null && (
        <p role="status">{trans.__('Fetching this version…')}</p>
      )}
    </>
  );
}

function note(text: string): Widget {
  const widget = new Widget();
  widget.addClass('jp-CollabAI-hint');
  widget.node.textContent = text;
  return widget;
}
