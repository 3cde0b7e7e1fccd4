/**
 * Text of a person that a document could not take, kept across a reload of the page.
 */
export interface IKeptText {
  readonly path: string;
  readonly text: string;
}

const KEY = 'jupyter-collab-ai:kept-text';

/** Keep text until the next page of this tab takes it. */
export function keep(kept: IKeptText): void {
  const all = [...take(), kept];
  try {
    window.sessionStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // The browser keeps nothing: it was shown in a dialog, too.
  }
}

/** Return what was kept, and forget it. */
export function take(): IKeptText[] {
  try {
    const text = window.sessionStorage.getItem(KEY);
    window.sessionStorage.removeItem(KEY);
    const found: unknown = text === null ? [] : JSON.parse(text);
    return Array.isArray(found) ? (found as IKeptText[]) : [];
  } catch {
    return [];
  }
}
