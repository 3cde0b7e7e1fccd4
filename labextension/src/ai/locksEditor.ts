import {
  type ChangeSet,
  Compartment,
  EditorState,
  type Extension,
  Prec,
  type Range,
  StateEffect,
  StateField
} from '@codemirror/state';
import {
  Decoration,
  type DecorationSet,
  EditorView,
  ViewPlugin,
  WidgetType
} from '@codemirror/view';
import { ySyncAnnotation } from '@jupyterlab/codemirror';
import type { TranslationBundle } from '@jupyterlab/translation';
import type * as Y from 'yjs';

import type { ILiveDocument } from '../documents/liveDocument';
import type { ILiveLock, Locks } from './locks';
import type { IRange } from './positions';

export interface ILocksEditorOptions {
  readonly document: ILiveDocument;
  readonly text: Y.Text;
  readonly locks: Locks;
  readonly trans: TranslationBundle;
}

/** The text as it grows, shown where it will stand; it is not part of the document. */
class Preview extends WidgetType {
  constructor(
    private readonly _text: string,
    private readonly _label: string
  ) {
    super();
  }

  override eq(other: Preview): boolean {
    return other._text === this._text && other._label === this._label;
  }

  override toDOM(): HTMLElement {
    const node = document.createElement('div');
    node.className = 'jp-CollabAI-preview';
    node.setAttribute('aria-hidden', 'true');
    const label = document.createElement('span');
    label.className = 'jp-CollabAI-previewLabel';
    label.textContent = this._label;
    node.append(label);
    if (this._text) {
      const code = document.createElement('pre');
      code.textContent = this._text;
      node.append(code);
    }
    return node;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

const shaded = Decoration.mark({ class: 'jp-CollabAI-locked' });
const setShades = StateEffect.define<DecorationSet>();

const shades = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (before, transaction) => {
    let now = before.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setShades)) {
        now = effect.value;
      }
    }
    return now;
  },
  provide: field => EditorView.decorations.from(field)
});

const CLOSED: Extension = [
  Prec.highest(EditorState.readOnly.of(true)),
  EditorView.editorAttributes.of({ class: 'jp-CollabAI-lockedEditor' })
];

/** Shade what an operation is writing, keep hands off it, and show the text as it grows. */
export function locksEditor(options: ILocksEditorOptions): Extension {
  const { document: live, locks, text } = options;
  const closed = new Compartment();
  const here = (): ILiveLock[] =>
    locks.of(live).filter(({ anchor }) => anchor?.text === text);
  const isClosed = (): boolean =>
    locks
      .of(live)
      .some(
        ({ lock, anchor }) =>
          lock.scope === 'document' ||
          (lock.scope === 'cell' && anchor?.text === text)
      );

  const follow = ViewPlugin.define(view => {
    let over = false;
    let wasClosed = false;
    let any = false;
    const show = (): void => {
      const now = here();
      if (over || (now.length === 0 && !any && isClosed() === wasClosed)) {
        return;
      }
      any = now.length > 0;
      const effects: StateEffect<unknown>[] = [
        setShades.of(shadesOf(view.state, now, options.trans))
      ];
      if (isClosed() !== wasClosed) {
        wasClosed = !wasClosed;
        effects.push(closed.reconfigure(wasClosed ? CLOSED : []));
      }
      view.dispatch({ effects });
    };
    const later = (_: unknown, document: ILiveDocument): void => {
      if (document === live) {
        // An editor can't be changed while it is being changed.
        window.requestAnimationFrame(show);
      }
    };
    locks.changed.connect(later);
    window.requestAnimationFrame(show);
    return {
      destroy: () => {
        over = true;
        locks.changed.disconnect(later);
      }
    };
  });

  const filter = EditorState.transactionFilter.of(transaction => {
    // What others did has happened already.
    if (
      !transaction.docChanged ||
      transaction.annotation(ySyncAnnotation) !== undefined
    ) {
      return transaction;
    }
    const held = here();
    if (held.length === 0) {
      return transaction;
    }
    const ranges = held
      .map(({ anchor }) => anchor?.range)
      .filter(range => range !== null && range !== undefined);
    return touches(transaction.changes, ranges) ? [] : transaction;
  });

  return [closed.of([]), shades, follow, filter];
}

/** Return whether a change is within one of the ranges; text at the edges of one stays out. */
function touches(changes: ChangeSet, ranges: readonly IRange[]): boolean {
  const changed: IRange[] = [];
  changes.iterChangedRanges((from, to) => {
    changed.push({ from, to });
  });
  return changed.some(({ from, to }) =>
    ranges.some(range =>
      range.from === range.to || from !== to
        ? from <= range.to && to >= range.from && !isBeside(from, to, range)
        : from > range.from && from < range.to
    )
  );
}

function isBeside(from: number, to: number, range: IRange): boolean {
  return range.from !== range.to && (from >= range.to || to <= range.from);
}

function shadesOf(
  state: EditorState,
  held: readonly ILiveLock[],
  trans: TranslationBundle
): DecorationSet {
  const decorations: Range<Decoration>[] = [];
  for (const { lock, anchor, preview } of held) {
    const range = anchor?.range;
    if (!range) {
      continue;
    }
    const size = state.doc.length;
    const from = Math.min(range.from, size);
    const to = Math.min(range.to, size);
    if (to > from) {
      decorations.push(shaded.range(from, to));
    }
    const label = trans.__('AI is writing for %1', lock.holder.display_name);
    decorations.push(
      Decoration.widget({
        widget: new Preview(preview, label),
        block: true,
        side: 1
      }).range(state.doc.lineAt(to).to)
    );
  }
  return Decoration.set(decorations, true);
}
