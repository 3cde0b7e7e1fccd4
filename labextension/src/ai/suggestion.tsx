import { Clipboard, Dialog, ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IEdit, IGeneration } from '../api/types';
import { isUntried } from './checks';
import { hunkOf, type IHunk } from './hunks';
import { rangeOf } from './positions';
import { FormDialog } from '../ui/formDialog';

/** What a person wants of code that is not in the document. */
export type Decision =
  | { readonly kind: 'discard' | 'retry' }
  /** Some edits by their numbers, or all. */
  | { readonly kind: 'insert'; readonly edits: readonly number[] | undefined };

const NOTHING: IHunk = { before: [], after: [] };

class SuggestionBody extends ReactWidget {
  constructor(
    private readonly _generation: IGeneration,
    private readonly _sentence: string,
    textOf: TextOf,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CollabAI-suggestion');
    this._wanted = new Set(_generation.edits.keys());
    // Of the text as it is now: others type on while one looks, and lines move.
    this._hunks = _generation.edits.map(({ location, new_text }) => {
      const text = textOf(location.cell_id ?? null);
      return hunkOf(text, rangeOf(text, location), new_text);
    });
  }

  /** The numbers of the edits that are wanted; undefined for all. */
  get wanted(): readonly number[] | undefined {
    return this._wanted.size === this._generation.edits.length
      ? undefined
      : [...this._wanted].sort((one, other) => one - other);
  }

  protected override render(): React.ReactElement {
    const { code, edits, explanation, checks } = this._generation;
    return (
      <>
        {this._sentence && <p>{this._sentence}</p>}
        {explanation && <p>{explanation}</p>}
        {edits.length > 1 ? edits.map(this._hunk) : <pre>{code}</pre>}
        {checks.length > 0 && (
          <ul>
            {checks.map(check => (
              <li key={check.name}>
                {check.ok ? '✓' : isUntried(check) ? '–' : '✗'} {check.name}
                {check.detail ? `: ${check.detail}` : ''}
              </li>
            ))}
          </ul>
        )}
      </>
    );
  }

  private readonly _hunk = (edit: IEdit, index: number): React.ReactElement => {
    const { start, end } = edit.location;
    const { before, after } = this._hunks[index] ?? NOTHING;
    const title =
      start.line === end.line
        ? this._trans.__('Line %1', start.line)
        : this._trans.__('Lines %1 to %2', start.line, end.line);
    return (
      <section key={index}>
        <label>
          <input
            type="checkbox"
            checked={this._wanted.has(index)}
            onChange={() => {
              this._toggle(index);
            }}
          />
          {title}
        </label>
        <pre>
          {before.map((line, number) => (
            <del key={number}>
              - {line}
              {'\n'}
            </del>
          ))}
          {after.map((line, number) => (
            <ins key={number}>
              + {line}
              {'\n'}
            </ins>
          ))}
        </pre>
      </section>
    );
  };

  private _toggle(index: number): void {
    // The last one stays: to take none of it is to discard it.
    if (!this._wanted.delete(index)) {
      this._wanted.add(index);
    } else if (this._wanted.size === 0) {
      this._wanted.add(index);
    }
    this.update();
  }

  private readonly _wanted: Set<number>;
  private readonly _hunks: readonly IHunk[];
}

/** Returns the text of a cell, or of the whole document where there are none. */
export type TextOf = (cellId: string | null) => string;

/** Show code that is not in the document; return what is to become of it. */
export async function reviewSuggestion(
  generation: IGeneration,
  sentence: string,
  textOf: TextOf,
  trans: TranslationBundle
): Promise<Decision> {
  const body = new SuggestionBody(generation, sentence, textOf, trans);
  const result = await new FormDialog<unknown>({
    title: trans.__('Suggested code'),
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Discard') }),
      Dialog.createButton({
        label: trans.__('Try again'),
        accept: false,
        actions: ['retry']
      }),
      Dialog.createButton({
        label: trans.__('Copy'),
        accept: false,
        actions: ['copy']
      }),
      Dialog.okButton({ label: trans.__('Insert') })
    ]
  }).launch();
  const { accept, actions } = result.button;
  if (actions.includes('copy')) {
    Clipboard.copyToSystem(generation.code);
  }
  if (!accept) {
    return { kind: actions.includes('retry') ? 'retry' : 'discard' };
  }
  return { kind: 'insert', edits: body.wanted };
}
