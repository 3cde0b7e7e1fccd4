/** Comparing the cells of two versions of a notebook. */

export interface ICell {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  /** What running it has left, as text; empty where there is nothing. */
  readonly outputs: string;
}

export type CellChange = 'same' | 'changed' | 'added' | 'removed' | 'moved';

export interface ICellPair {
  readonly before: ICell | null;
  readonly after: ICell | null;
  readonly change: CellChange;
}

/**
 * Pair the cells of two versions by their ids, in the order of the newer one; what is not there any
 * more stands behind the cell that it stood behind.
 */
export function pairCells(
  before: readonly ICell[],
  after: readonly ICell[]
): readonly ICellPair[] {
  const old = new Map(before.map((cell, index) => [cell.id, index]));
  const now = new Set(after.map(cell => cell.id));
  const stays = new Set(
    longestRising(
      after.flatMap(cell => {
        const index = old.get(cell.id);
        return index === undefined ? [] : [index];
      })
    )
  );
  /** Removed cells by the id of the one that they stood behind. */
  const gone = new Map<string | null, ICell[]>();
  let behind: string | null = null;
  for (const cell of before) {
    if (now.has(cell.id)) {
      behind = cell.id;
    } else {
      gone.set(behind, [...(gone.get(behind) ?? []), cell]);
    }
  }
  const removed = (id: string | null): ICellPair[] =>
    (gone.get(id) ?? []).map(cell => ({
      before: cell,
      after: null,
      change: 'removed'
    }));
  const pairs = removed(null);
  for (const cell of after) {
    const index = old.get(cell.id);
    const was = index === undefined ? null : (before[index] ?? null);
    pairs.push({
      before: was,
      after: cell,
      change: changeOf(was, cell, index !== undefined && stays.has(index))
    });
    pairs.push(...removed(cell.id));
  }
  return pairs;
}

function changeOf(was: ICell | null, is: ICell, inPlace: boolean): CellChange {
  if (was === null) {
    return 'added';
  }
  const same =
    was.type === is.type &&
    was.source === is.source &&
    was.outputs === is.outputs;
  return !same ? 'changed' : inPlace ? 'same' : 'moved';
}

/** Return a longest subsequence that rises. */
function longestRising(numbers: readonly number[]): number[] {
  const ends: number[] = [];
  const previous = new Map<number, number | undefined>();
  for (const number of numbers) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? Infinity) < number) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    previous.set(number, ends[low - 1]);
    ends[low] = number;
  }
  const rising: number[] = [];
  let last = ends.at(-1);
  while (last !== undefined) {
    rising.unshift(last);
    last = previous.get(last);
  }
  return rising;
}

/** Read the cells of a notebook in nbformat's JSON. */
export function cellsOf(notebook: unknown): readonly ICell[] {
  const cells =
    typeof notebook === 'object' && notebook !== null && 'cells' in notebook
      ? notebook.cells
      : [];
  return Array.isArray(cells)
    ? cells.map((cell: Record<string, unknown>, index) => ({
        id: typeof cell.id === 'string' ? cell.id : `#${index}`,
        type: typeof cell.cell_type === 'string' ? cell.cell_type : 'raw',
        source: joined(cell.source),
        outputs: outputsOf(cell.outputs)
      }))
    : [];
}

function outputsOf(outputs: unknown): string {
  if (!Array.isArray(outputs)) {
    return '';
  }
  return outputs
    .map((output: Record<string, unknown>) => {
      if (output.output_type === 'error') {
        return `${joined(output.ename)}: ${joined(output.evalue)}`;
      }
      if ('text' in output) {
        return joined(output.text);
      }
      const data = (output.data ?? {}) as Record<string, unknown>;
      const kinds = Object.keys(data);
      return 'text/plain' in data
        ? joined(data['text/plain'])
        : `[${kinds.join(', ')}]`;
    })
    .join('\n');
}

function joined(text: unknown): string {
  return Array.isArray(text)
    ? text.join('')
    : typeof text === 'string'
      ? text
      : '';
}
