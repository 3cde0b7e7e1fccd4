import {
  Compartment,
  type EditorState,
  type Extension,
  RangeSetBuilder,
  StateEffect,
  StateField
} from '@codemirror/state';
import { gutter, GutterMarker, ViewPlugin } from '@codemirror/view';

import type { ILiveDocument } from '../documents/liveDocument';
import type { Authors, ILineAuthor } from './authors';

class AuthorMarker extends GutterMarker {
  constructor(
    private readonly _author: ILineAuthor,
    private readonly _first: boolean
  ) {
    super();
  }

  override eq(other: AuthorMarker): boolean {
    return (
      other._first === this._first &&
      other._author.title === this._author.title &&
      other._author.color === this._author.color
    );
  }

  override toDOM(): HTMLElement {
    const node = document.createElement('span');
    node.className = 'jp-CollabAI-author';
    node.title = this._author.title;
    node.style.borderLeftColor = this._author.color;
    // Who wrote several lines in a row is named at the first.
    node.textContent = this._first ? this._author.name : '\u00a0';
    return node;
  }
}

const setAuthors = StateEffect.define<readonly (ILineAuthor | null)[]>();

/** Markers that move with their lines until the server has been asked again. */
const markers = StateField.define({
  create: () => new RangeSetBuilder<GutterMarker>().finish(),
  update: (before, transaction) => {
    let now = before.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setAuthors)) {
        now = markersOf(transaction.state, effect.value);
      }
    }
    return now;
  }
});

function markersOf(
  state: EditorState,
  authors: readonly (ILineAuthor | null)[]
): ReturnType<RangeSetBuilder<GutterMarker>['finish']> {
  const builder = new RangeSetBuilder<GutterMarker>();
  let above: string | null = null;
  for (let line = 1; line <= state.doc.lines; line++) {
    const author = authors[line - 1] ?? null;
    if (author !== null) {
      const { from } = state.doc.line(line);
      builder.add(from, from, new AuthorMarker(author, author.title !== above));
    }
    above = author?.title ?? null;
  }
  return builder.finish();
}

/** Show in one editor who wrote each line, while somebody wants to know. */
export function authorsEditor(
  live: ILiveDocument,
  /** Null for a file; of a notebook, the cell. */
  cell: () => string | null,
  authors: Authors
): Extension {
  const shown = new Compartment();
  const column: Extension = [
    markers,
    gutter({
      class: 'jp-CollabAI-authors',
      markers: view => view.state.field(markers)
    })
  ];
  const follow = ViewPlugin.define(view => {
    let over = false;
    let any = false;
    const show = (): void => {
      const lines = over ? null : authors.of(live, cell());
      if (over || (lines === null && !any)) {
        return;
      }
      if ((lines !== null) !== any) {
        any = lines !== null;
        view.dispatch({ effects: shown.reconfigure(any ? column : []) });
      }
      if (lines !== null) {
        view.dispatch({ effects: setAuthors.of(lines) });
      }
    };
    const later = (_: unknown, document: ILiveDocument): void => {
      if (document === live) {
        // An editor can't be changed while it is being changed.
        window.requestAnimationFrame(show);
      }
    };
    authors.changed.connect(later);
    window.requestAnimationFrame(show);
    return {
      destroy: () => {
        over = true;
        authors.changed.disconnect(later);
      }
    };
  });
  return [shown.of([]), follow];
}
