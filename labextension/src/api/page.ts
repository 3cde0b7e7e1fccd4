import { PageConfig } from '@jupyterlab/coreutils';

/** Whether the person in this browser may run code: always, never, or where their role allows. */
export type RunsCode = 'always' | 'by_role' | 'never';

/**
 * Return what the server has told the page of the person's right to run code.
 *
 * Without our part of the server there are no roles, and everybody may.
 */
export function runsCode(): RunsCode {
  const told = PageConfig.getOption('collabAiRunsCode');
  return told === 'by_role' || told === 'never' ? told : 'always';
}

/** Return whether the person is a member, for whom the server keeps its own events back. */
export function isMember(): boolean {
  return PageConfig.getOption('collabAiAdmin') === 'false';
}

/** Return the id of the account that the page was loaded as; empty where there are none. */
export function pageUser(): string {
  return PageConfig.getOption('collabAiUser');
}
