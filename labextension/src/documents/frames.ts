/**
 * The raw frames of a document's socket: what the server says beside Yjs' own messages.
 */

import type { Capability, Role } from '../api/types';

export interface IRightFrame {
  readonly read_only: boolean;
  readonly session: string | null;
  readonly role: Role | null;
  readonly capabilities: readonly Capability[];
}

export interface IHello extends IRightFrame {
  readonly type: 'hello';
  readonly epoch: string;
  /** The id of the account that the socket is of. */
  readonly user: string;
  /** Bytes that a message to the server may have; null where it is not known. */
  readonly max_message: number | null;
}

export interface IRoleChanged extends IRightFrame {
  readonly type: 'role';
}

export interface ISaved {
  readonly type: 'saved';
  readonly seq: number;
}

export interface IRefused {
  readonly type: 'refused';
  readonly reason: string;
  /** Null where only deletions were refused, under an id that is not known. */
  readonly client: number | null;
  /** The first of the client's structs that was refused; null where none was. */
  readonly from_clock: number | null;
}

export interface IReset {
  readonly type: 'reset';
  readonly reason: string;
}

export interface IEnd {
  readonly type: 'end';
  /** The close code that the project's own endpoint would use. */
  readonly code: number;
  readonly message: string;
  /** Whether it is worth to connect again. */
  readonly reconnect: boolean;
}

export interface ISessionEvent {
  readonly type: 'event';
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** The whole document is about to be written anew: take no input until `thaw`. */
export interface IFreeze {
  readonly type: 'freeze';
  /** After so many, input is taken again all the same. */
  readonly seconds: number;
}

export interface IThaw {
  readonly type: 'thaw';
}

/** A file was changed on disk where people had changed it too; what it had is kept. */
export interface IConflict {
  readonly type: 'conflict';
  readonly path: string;
  readonly version: string;
  readonly message: string;
}

/** JupyterLab's answer to a request to save. */
export interface ISaveReply {
  readonly type: 'save';
  readonly responseTo: number;
  readonly status: 'success' | 'skipped' | 'failed';
}

export type RawFrame =
  | IHello
  | IRoleChanged
  | ISaved
  | IRefused
  | IReset
  | IEnd
  | ISessionEvent
  | IConflict
  | IFreeze
  | IThaw
  | ISaveReply;

const TYPES: ReadonlySet<unknown> = new Set([
  'hello',
  'role',
  'saved',
  'refused',
  'reset',
  'end',
  'event',
  'conflict',
  'freeze',
  'thaw',
  'save'
]);

/** Return the frame that `text` holds; null for one that is not known. */
export function parseFrame(text: string): RawFrame | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof frame !== 'object' || frame === null || !('type' in frame)) {
    return null;
  }
  return TYPES.has(frame.type) ? (frame as RawFrame) : null;
}
