import type { DocumentChange, YDocument } from '@jupyter/ydoc';
import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { FormDialog } from '../ui/formDialog';
import type { IPlace } from './places';

export interface IWish {
  readonly instructions: string;
  /** Undefined where the document has no places of its own; then it is its end. */
  readonly place: IPlace | undefined;
  readonly apply: boolean;
}

export interface IQuestion {
  /** How the document is called. */
  readonly name: string;
  readonly model: YDocument<DocumentChange>;
  readonly places: readonly IPlace[];
  /** What was wanted before, and why it is asked once more. */
  readonly again?: { readonly wish: IWish; readonly why: string };
}

/** Ask what is to be written, and where; null where nothing is. */
export async function askForWish(
  question: IQuestion,
  trans: TranslationBundle
): Promise<IWish | null> {
  const body = new WishBody(question, trans);
  const dialog = new FormDialog<IWish>({
    title: trans.__('Generate code in “%1”', question.name),
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
    private readonly _question: IQuestion,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CollabAI-wish');
    const wish = _question.again?.wish;
    this._instructions = wish?.instructions ?? '';
    this._apply = wish?.apply ?? true;
    // Others type on, and the names of places tell lines.
    _question.model.changed.connect(this._tell, this);
  }

  override dispose(): void {
    this._question.model.changed.disconnect(this._tell, this);
    super.dispose();
  }

  getValue(): IWish {
    return {
      instructions: this._instructions,
      place: this._question.places[this._place],
      apply: this._apply
    };
  }

  protected override render(): React.ReactElement {
    const trans = this._trans;
    const { again, places } = this._question;
    return (
      <>
        {again && (
          <p role="alert" className="jp-CollabAI-problem">
            {again.why}
          </p>
        )}
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
          defaultValue={this._instructions}
        />
        <fieldset>
          <legend>{trans.__('Where?')}</legend>
          {places.map((place, index) => (
            <label key={index}>
              <input
                type="radio"
                name="jp-collab-ai-place"
                defaultChecked={index === 0}
                onChange={() => {
                  this._place = index;
                }}
              />
              {place.label()}
            </label>
          ))}
        </fieldset>
        <label>
          <input
            type="checkbox"
            defaultChecked={!this._apply}
            onChange={event => {
              this._apply = !event.target.checked;
            }}
          />
          {trans.__('Show it to me first')}
        </label>
      </>
    );
  }

  private _tell(): void {
    this.update();
  }

  private _instructions: string;
  private _place = 0;
  private _apply: boolean;
}
