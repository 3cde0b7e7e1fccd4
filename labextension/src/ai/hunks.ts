import type { IRange } from './positions';

/** One edit as people read it: whole lines. */
export interface IHunk {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Return the lines of `text` in which a range is replaced, as they are and as they are to be. */
export function hunkOf(
  text: string,
  { from, to }: IRange,
  replacement: string
): IHunk {
  const start = text.slice(0, from).lastIndexOf('\n') + 1;
  const next = text.indexOf('\n', to);
  const end = next < 0 ? text.length : next;
  const before = text.slice(start, end);
  const after = text.slice(start, from) + replacement + text.slice(to, end);
  return { before: lines(before), after: lines(after) };
}

function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
