import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { sentenceOf } from '../api/errors';

/** Characters beyond which JupyterLab cuts a toast off. */
const MOST = 140;

/** Return a text that a toast shows whole: cut off between words. */
export function short(text: string): string {
  if (text.length <= MOST) {
    return text;
  }
  const start = text.slice(0, MOST - 1);
  const end = start.search(/\s+\S*$/);
  return `${end > MOST / 2 ? start.slice(0, end) : start}…`;
}

/**
 * Say what went wrong, on the screen, until the person has seen it. What is too long for a toast
 * can be read whole.
 */
export function tellFailure(message: string, trans: TranslationBundle): string {
  const shown = short(message);
  // Without `autoClose` JupyterLab puts it behind the bell alone.
  return Notification.error(shown, {
    autoClose: false,
    actions:
      shown === message
        ? []
        : [
            {
              label: trans.__('Read all of it'),
              callback: () => {
                void showErrorMessage(trans.__('What went wrong'), message);
              }
            }
          ]
  });
}

/** Says that something goes on, until it is told how that ended. */
export class Progress {
  constructor(
    message: string,
    private readonly _trans: TranslationBundle
  ) {
    this._id = Notification.emit(short(message), 'in-progress', {
      autoClose: false
    });
  }

  /**
   * Say how it ended.
   *
   * It is a notification of its own: JupyterLab draws toasts later, and what ends before the
   * first one is drawn would be shown as going on for ever.
   */
  end(
    message: string,
    type: Notification.TypeOptions,
    options: Notification.IOptions<null>
  ): void {
    this.dismiss();
    Notification.emit(short(message), type, options);
  }

  fail(error: unknown): void {
    this.dismiss();
    tellFailure(sentenceOf(error, this._trans), this._trans);
  }

  dismiss(): void {
    Notification.dismiss(this._id);
  }

  private readonly _id: string;
}
