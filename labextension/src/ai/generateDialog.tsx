import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ITarget } from '../api/types';

/** A place where code may go. */
export interface IPlace {
  readonly label: string;
  readonly target: ITarget;
}

export interface IWish {
  readonly instructions: string;
  readonly target: ITarget;
  readonly apply: boolean;
}

/** Ask what is to be written, and where; null where nothing is. */
export async function askForWish(
  name: string,
  places: readonly IPlace[],
  trans: TranslationBundle
): Promise<IWish | null> {
  const body = new WishBody(places, trans);
  const dialog = new Dialog<IWish>({
    title: trans.__('Generate code in “%1”', name),
    body,
    buttons: [
      Dialog.cancelButton(),
      Dialog.okButton({ label: trans.__('Generate') })
    ],
    focusNodeSelector: 'textarea'
  });
  dialog.addClass('jp-CollabAI-generateDialog');
  const result = await dialog.launch();
  const wish = result.button.accept ? result.value : null;
  return wish?.instructions.trim() ? wish : null;
}

class WishBody extends ReactWidget implements Dialog.IBodyWidget<IWish> {
  constructor(
    private readonly _places: readonly IPlace[],
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CollabAI-wish');
  }

  getValue(): IWish {
    const place = this._places[this._place] ?? this._places[0];
    return {
      instructions: this._instructions,
      target: place?.target ?? { mode: 'append' },
      apply: this._apply
    };
  }

  protected override render(): React.ReactElement {
    const trans = this._trans;
    return (
      <>
        <label htmlFor="jp-collab-ai-wish">
          {trans.__('What should the code do?')}
        </label>
        <textarea
          id="jp-collab-ai-wish"
          rows={5}
          maxLength={20_000}
          placeholder={trans.__(
            'For example: a function that reads the prices from a CSV file, with tests'
          )}
          onChange={event => {
            this._instructions = event.target.value;
          }}
          onKeyDown={event => {
            // Enter makes a line here; the dialog would take it for its button.
            if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) {
              event.stopPropagation();
            }
          }}
        />
        <fieldset>
          <legend>{trans.__('Where?')}</legend>
          {this._places.map((place, index) => (
            <label key={place.label}>
              <input
                type="radio"
                name="jp-collab-ai-place"
                defaultChecked={index === 0}
                onChange={() => {
                  this._place = index;
                }}
              />
              {place.label}
            </label>
          ))}
        </fieldset>
        <label>
          <input
            type="checkbox"
            onChange={event => {
              this._apply = !event.target.checked;
            }}
          />
          {trans.__('Show it to me first')}
        </label>
      </>
    );
  }

  private _instructions = '';
  private _place = 0;
  private _apply = true;
}
