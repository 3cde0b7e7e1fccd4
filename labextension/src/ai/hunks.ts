import type { IEdit } from '../api/types';
import { offsetOf } from './positions';

/** One edit as people read it: whole lines. */
export interface IHunk {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Return the lines that an edit changes, as they are in `text` and as they are to be. */
export function hunkOf(text: string, { location, new_text }: IEdit): IHunk {
  const from = offsetOf(text, location.start);
  const to = offsetOf(text, location.end);
  const start = text.slice(0, from).lastIndexOf('\n') + 1;
  const next = text.indexOf('\n', to);
  const end = next < 0 ? text.length : next;
  const before = text.slice(start, end);
  const after = text.slice(start, from) + new_text + text.slice(to, end);
  return { before: lines(before), after: lines(after) };
}

function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
