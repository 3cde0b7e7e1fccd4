/** One event of a stream, as in the HTML standard, section 9.2. */
export interface IStreamEvent {
  readonly event: string;
  readonly data: string;
}

/** Return the last event of a stream that has ended; with empty members where it had none. */
export function lastEvent(stream: string): IStreamEvent {
  const blocks = stream.split('\n\n').filter(block => /^event:/m.test(block));
  const lines = blocks.at(-1)?.split('\n') ?? [];
  const field = (name: string): string =>
    lines
      .filter(line => line.startsWith(`${name}:`))
      .map(line => line.slice(name.length + 1).trimStart())
      .join('\n');
  return { event: field('event'), data: field('data') };
}
