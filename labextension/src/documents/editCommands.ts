import type { CommandRegistry } from '@lumino/commands';

/** Commands that change a notebook, or run its code; of JupyterLab 4.6. */
const NOTEBOOK = [
  'change-cell-to-code',
  'change-cell-to-heading-1',
  'change-cell-to-heading-2',
  'change-cell-to-heading-3',
  'change-cell-to-heading-4',
  'change-cell-to-heading-5',
  'change-cell-to-heading-6',
  'change-cell-to-markdown',
  'change-cell-to-raw',
  'clear-all-cell-outputs',
  'clear-cell-output',
  'cut-cell',
  'delete-cell',
  'duplicate-below',
  'enter-edit-mode-and-insert',
  'insert-cell-above',
  'insert-cell-below',
  'insert-heading-above',
  'insert-heading-below',
  'merge-cell-above',
  'merge-cell-below',
  'merge-cells',
  'move-cell-down',
  'move-cell-up',
  'paste-and-replace-cell',
  'paste-cell-above',
  'paste-cell-below',
  'redo',
  'redo-cell-action',
  'replace-selection',
  'split-cell-at-cursor',
  'trust',
  'undo',
  'undo-cell-action'
].map(name => `notebook:${name}`);

/** Commands that ask a kernel for something. */
const KERNEL = [
  'notebook:change-kernel',
  'notebook:get-kernel',
  'notebook:interrupt-kernel',
  'notebook:reconnect-to-kernel',
  'notebook:restart-and-run-to-selected',
  'notebook:restart-clear-output',
  'notebook:restart-kernel',
  'notebook:restart-run-all',
  'notebook:run-all-above',
  'notebook:run-all-below',
  'notebook:run-all-cells',
  'notebook:run-cell',
  'notebook:run-cell-and-insert-below',
  'notebook:run-cell-and-select-next',
  'notebook:run-in-console',
  'notebook:shutdown-kernel'
];

/** Rendering a text cell changes nothing, and is done by the same commands as running code. */
const RENDERS = new Set([
  'notebook:run-all-cells',
  'notebook:run-cell',
  'notebook:run-cell-and-select-next'
]);

const CHANGES = new Set([...NOTEBOOK, 'documentsearch:startWithReplace']);
const RUNS = new Set(KERNEL);

/** What the person may do in the document in front of them. */
export interface IFront {
  readonly readOnly: boolean;
  readonly runsCode: boolean;
}

/**
 * Grey commands out that would be refused, wherever they are offered: menus, toolbars,
 * shortcuts and the palette all ask `isEnabled`, and run a command by `execute`.
 */
export function guardCommands(
  commands: CommandRegistry,
  front: () => IFront | null
): void {
  const isEnabled = commands.isEnabled.bind(commands);
  const execute = commands.execute.bind(commands);
  const refused = (id: string): boolean => {
    const now = front();
    if (now === null) {
      return false;
    }
    if (CHANGES.has(id)) {
      return now.readOnly;
    }
    return RUNS.has(id) && !now.runsCode && !RENDERS.has(id);
  };
  commands.isEnabled = (id, args) => !refused(id) && isEnabled(id, args);
  commands.execute = (id, args) =>
    refused(id) ? Promise.resolve(undefined) : execute(id, args);
}

/** Let menus and toolbars ask again. */
export function refreshCommands(commands: CommandRegistry): void {
  for (const id of [...CHANGES, ...RUNS]) {
    if (commands.hasCommand(id)) {
      commands.notifyCommandChanged(id);
    }
  }
}
