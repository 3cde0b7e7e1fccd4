import { Dialog } from '@jupyterlab/apputils';

const FOCUSABLE =
  'a[href], button, input, select, textarea, summary, [tabindex]';

/**
 * A dialog whose body is a form of its own.
 *
 * JupyterLab's takes Enter in a field for its own button, and sends Tab from its last button to
 * what was the first field before the body was drawn, which is none.
 */
export class FormDialog<T> extends Dialog<T> {
  override handleEvent(event: globalThis.Event): void {
    if (event instanceof KeyboardEvent && event.type === 'keydown') {
      if (event.key === 'Enter' && !this._isOnButton()) {
        return;
      }
      if (event.key === 'Tab' && this._turnAround(event.shiftKey)) {
        event.preventDefault();
        event.stopPropagation();
        return;
      }
    }
    super.handleEvent(event);
  }

  private _isOnButton(): boolean {
    const { activeElement } = document;
    return (
      // What is sent to the dialog itself is meant for it.
      activeElement === this.node ||
      activeElement?.closest('.jp-Dialog-footer') != null
    );
  }

  /** Keep the focus in the dialog: after the last comes the first. */
  private _turnAround(back: boolean): boolean {
    const all = [...this.node.querySelectorAll<HTMLElement>(FOCUSABLE)].filter(
      isReachable
    );
    const edge = back ? all[0] : all.at(-1);
    if (edge === undefined || document.activeElement !== edge) {
      return false;
    }
    (back ? all.at(-1) : all[0])?.focus();
    return true;
  }
}

function isReachable(node: HTMLElement): boolean {
  return (
    node.tabIndex >= 0 &&
    !node.matches(':disabled') &&
    node.getClientRects().length > 0
  );
}
