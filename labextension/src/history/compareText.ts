import { MergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { Widget } from '@lumino/widgets';

import type { ILines } from '../api/types';

/** Where two texts differ. */
export interface IDifference {
  readonly before: ILines;
  readonly after: ILines;
}

export interface ICompareTextOptions {
  readonly before: string;
  readonly after: string;
  /** How the text is coloured. */
  readonly extensions: readonly Extension[];
  /** What the older side is called, and the newer. */
  readonly labels: readonly [string, string];
  /**
   * Where it can be asked for: bring one difference back as it was before, and how that is called.
   */
  readonly restore?: {
    readonly label: string;
    readonly run: (difference: IDifference) => void;
  };
}

/** Milliseconds that comparing may take before it becomes less precise. */
const PATIENCE = 300;
/** Lines that are shown around a difference, and how many equal ones are folded at least. */
const FOLD = { margin: 3, minSize: 6 };

/**
 * Two texts side by side, as they differ.
 */
export class CompareText extends Widget {
  constructor(options: ICompareTextOptions) {
    super();
    this.addClass('jp-CollabAI-compareText');
    const extensions = (label: string): Extension => [
      lineNumbers(),
      EditorState.readOnly.of(true),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': label }),
      options.extensions
    ];
    const [before, after] = options.labels;
    const { restore } = options;
    this._view = new MergeView({
      a: { doc: options.before, extensions: extensions(before) },
      b: { doc: options.after, extensions: extensions(after) },
      parent: this.node,
      collapseUnchanged: FOLD,
      diffConfig: { timeout: PATIENCE },
      ...(restore === undefined
        ? {}
        : {
            revertControls: 'a-to-b' as const,
            renderRevertControl: () => this._button(restore)
          })
    });
  }

  /** Return how many differences there are. */
  get count(): number {
    return this._view.chunks.length;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._view.destroy();
      super.dispose();
    }
  }

  private _button(
    restore: NonNullable<ICompareTextOptions['restore']>
  ): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'jp-CollabAI-restorePart';
    button.title = restore.label;
    button.setAttribute('aria-label', restore.label);
    button.textContent = '→';
    // The view would change its own copy of the text.
    button.addEventListener('mousedown', event => {
      event.stopPropagation();
    });
    button.addEventListener('click', () => {
      const chunk = this._view.chunks[Number(button.dataset.chunk)];
      if (chunk !== undefined) {
        const { a, b } = this._view;
        restore.run({
          before: lines(a.state, chunk.fromA, chunk.toA),
          after: lines(b.state, chunk.fromB, chunk.toB)
        });
      }
    });
    return button;
  }

  private readonly _view: MergeView;
}

/** Return the lines of a stretch that ends one past the end of its last line. */
function lines(state: EditorState, from: number, to: number): ILines {
  const { doc } = state;
  const first = doc.lineAt(Math.min(from, doc.length)).number;
  if (to > from) {
    return {
      from: first,
      to: doc.lineAt(Math.min(to - 1, doc.length)).number + 1
    };
  }
  // Nothing, before the line that begins there, or after all lines.
  const line = from > doc.length ? doc.lines + 1 : first;
  return { from: line, to: line };
}
