import {
  Clipboard,
  Dialog,
  ReactWidget,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** Characters that are shown of a text; a longer one would hold the page up. */
const SHOWN = 100_000;

class TextBody extends ReactWidget {
  constructor(
    private readonly _sentence: string,
    private readonly _text: string,
    private readonly _label: string
  ) {
    super();
    this.addClass('jp-CollabAI-offer');
  }

  protected override render(): React.ReactElement {
    return (
      <>
        <p>{this._sentence}</p>
        {this._text && (
          <textarea
            readOnly
            aria-label={this._label}
            rows={Math.min(12, this._text.split('\n').length + 1)}
            value={
              this._text.length > SHOWN
                ? `${this._text.slice(0, SHOWN)}…`
                : this._text
            }
          />
        )}
      </>
    );
  }
}

/**
 * Say something, and offer text back that could not be taken.
 */
export async function tell(
  title: string,
  sentence: string,
  text: string,
  trans: TranslationBundle
): Promise<void> {
  const close = Dialog.okButton({ label: trans.__('OK') });
  const copy = Dialog.okButton({
    label: trans.__('Copy my text'),
    actions: ['copy']
  });
  const result = await showDialog({
    title,
    body: new TextBody(sentence, text, trans.__('What you typed')),
    buttons: text
      ? [Dialog.cancelButton({ label: trans.__('Discard it') }), copy]
      : [close],
    defaultButton: text ? 1 : 0
  });
  if (result.button.actions.includes('copy')) {
    Clipboard.copyToSystem(text);
  }
}
