/**
 * What the server answers, member for member.
 */

export type Role = 'owner' | 'editor' | 'viewer';

export interface IUser {
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly email?: string | null;
  readonly color: string;
  readonly is_admin: boolean;
  readonly is_active: boolean;
  readonly created_at: string;
}

export type SessionType = 'file' | 'directory' | 'notebook';

export interface ISession {
  readonly id: string;
  readonly name: string;
  /** Relative to the server's root. */
  readonly path: string;
  readonly type: SessionType;
  /** The caller's; null for an admin who is no member. */
  readonly role: Role | null;
  readonly member_count: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface IPage<T> {
  readonly items: readonly T[];
  /** What to send as `after` to get the next page; null on the last one. */
  readonly next: string | null;
}

export interface IFieldError {
  readonly field: string;
  readonly message: string;
}

export interface IErrorBody {
  readonly message: string;
  /** A fixed word; absent where the answer is not from this package. */
  readonly reason?: string;
  readonly errors?: readonly IFieldError[];
}
