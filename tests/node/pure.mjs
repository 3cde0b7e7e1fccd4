// Calls pure functions of the JupyterLab extension, as it was compiled: a line of JSON in, one out.
//
// usage: node pure.mjs <folder of the compiled extension>
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const at = path => import(pathToFileURL(`${process.argv[2]}/${path}`).href);
const { offsetOf, positionOf, Anchor } = await at('ai/positions.js');
const { hunkOf } = await at('ai/hunks.js');
const { ownText, ownClock } = await at('documents/ownText.js');
const { lastEvent } = await at('api/eventStream.js');
const { parseFrame } = await at('documents/frames.js');
const { TrackedText } = await at('documents/tracked.js');
const { pairCells } = await at('history/cells.js');
const Y = await at('../node_modules/yjs/dist/yjs.mjs');

const calls = {
  offset: ({ text, position }) => offsetOf(text, position),
  position: ({ text, offset }) => positionOf(text, offset),
  hunk: ({ text, from, to, replacement }) => hunkOf(text, { from, to }, replacement),
  lastEvent: ({ stream }) => lastEvent(stream),
  frame: ({ text }) => parseFrame(text),
  pairs: ({ before, after }) =>
    pairCells(before, after).map(pair => [
      pair.before?.id ?? null,
      pair.after?.id ?? null,
      pair.change
    ]),

  // What a client has typed since some moment, with edits of somebody else in between.
  own: ({ edits, since }) => {
    const mine = new Y.Doc();
    const other = new Y.Doc();
    mine.on('update', update => Y.applyUpdate(other, update));
    other.on('update', update => Y.applyUpdate(mine, update));
    let clock = 0;
    edits.forEach(([who, at, insert, remove], index) => {
      if (index === since) {
        clock = ownClock(mine);
      }
      const text = (who === 'mine' ? mine : other).getText('source');
      const place = Math.min(at, text.length);
      text.delete(place, Math.min(remove, text.length - place));
      text.insert(place, insert);
    });
    return ownText(mine, mine.clientID, clock);
  },

  // A copy in which the own edits are made again that it lacks.
  replay: ({ text, edits, copy, latest, settled }) => {
    const tracked = new TrackedText(text);
    for (const [at, remove, insert, number] of edits) {
      const delta = [{ retain: at }, { delete: remove }, { insert }];
      tracked.change(delta.filter(step => Object.values(step)[0]), number);
    }
    tracked.settle(settled ?? 0);
    let result = copy;
    for (const { from, to, text: inserted } of tracked.replay(copy, latest)) {
      result = result.slice(0, from) + inserted + result.slice(to);
    }
    return { now: tracked.text, result };
  },

  // Where a stretch of text is after edits.
  anchor: ({ text, from, to, edits }) => {
    const source = new Y.Doc().getText('source');
    source.insert(0, text);
    const anchor = new Anchor(source, { from, to });
    for (const [at, insert, remove] of edits) {
      source.delete(at, remove);
      source.insert(at, insert);
    }
    return { range: anchor.range, intact: anchor.intact };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...given } = JSON.parse(line);
  console.log(JSON.stringify(calls[call](given) ?? null));
}
