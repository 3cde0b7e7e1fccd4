import { pageUser } from '../api/page';

/**
 * What a person is told, and offered back, after the page was loaded anew: a document could not
 * take it.
 */
export interface IKeptText {
  readonly sentence: string;
  readonly text: string;
}

const KEY = 'jupyter-collab-ai:kept-text';

/** Keep text until the next page of this tab that is the same person's forgets it. */
export function keep(text: IKeptText): void {
  store([...kept(), text]);
}

/** Return what was kept. */
export function kept(): IKeptText[] {
  try {
    const text = window.sessionStorage.getItem(key());
    const found: unknown = text === null ? [] : JSON.parse(text);
    return Array.isArray(found) ? (found as IKeptText[]) : [];
  } catch {
    return [];
  }
}

/** Forget the first text that was kept. */
export function forgetFirst(): void {
  store(kept().slice(1));
}

function store(all: readonly IKeptText[]): void {
  try {
    if (all.length > 0) {
      window.sessionStorage.setItem(key(), JSON.stringify(all));
    } else {
      window.sessionStorage.removeItem(key());
    }
  } catch {
    // The browser keeps nothing: it was shown in a dialog, too.
  }
}

/** Each has their own: whoever signs in next in this tab is not shown it. */
function key(): string {
  return `${KEY}:${pageUser()}`;
}
