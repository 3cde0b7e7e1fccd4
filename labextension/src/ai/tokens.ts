import { Token } from '@lumino/coreutils';

import type { IReport } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import type { Findings, ILiveFinding } from './findings';

/**
 * The debugger, as the person in this browser.
 */
export interface IAssistant {
  readonly findings: Findings;

  /** Look for faults; null where it was not possible, of which the person is told. */
  debug(document: ILiveDocument): Promise<IReport | null>;
  applyFix(document: ILiveDocument, found: ILiveFinding): void;
  /** Apply several fixes, one after the other. */
  applyFixes(document: ILiveDocument, found: readonly ILiveFinding[]): void;
  jump(document: ILiveDocument, found: ILiveFinding): void;
}

export const AssistantToken = new Token<IAssistant>(
  'jupyter-collab-ai:IAssistant',
  'Runs the AI debugger in the documents of this page.'
);
