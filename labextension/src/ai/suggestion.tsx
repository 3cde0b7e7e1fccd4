import {
  Clipboard,
  Dialog,
  ReactWidget,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGeneration } from '../api/types';

class SuggestionBody extends ReactWidget {
  constructor(
    private readonly _generation: IGeneration,
    private readonly _sentence: string
  ) {
    super();
    this.addClass('jp-CollabAI-suggestion');
  }

  protected override render(): React.ReactElement {
    const { code, explanation, checks } = this._generation;
    return (
      <>
        {this._sentence && <p>{this._sentence}</p>}
        {explanation && <p>{explanation}</p>}
        <pre>{code}</pre>
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
}

/** Nothing was found wrong, as nobody looked; the detail says why. */
function isUntried(check: IGeneration['checks'][number]): boolean {
  return !check.ok && (check.detail ?? '').startsWith('Not tried');
}

/** Show code that is not in the document; return whether it is to be written. */
export async function reviewSuggestion(
  generation: IGeneration,
  sentence: string,
  trans: TranslationBundle
): Promise<boolean> {
  const result = await showDialog({
    title: trans.__('Suggested code'),
    body: new SuggestionBody(generation, sentence),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Discard') }),
      Dialog.createButton({
        label: trans.__('Copy'),
        accept: false,
        actions: ['copy']
      }),
      Dialog.okButton({ label: trans.__('Insert') })
    ]
  });
  if (result.button.actions.includes('copy')) {
    Clipboard.copyToSystem(generation.code);
  }
  return result.button.accept;
}
