/**
 * What the server answers, member for member.
 */

export type Role = 'owner' | 'editor' | 'viewer';

/** What somebody may do with a document; the words of the server's table of roles. */
export type Capability =
  | 'see'
  | 'read'
  | 'write'
  | 'debug'
  | 'generate'
  | 'cancel_own'
  | 'cancel_any'
  | 'manage'
  | 'execute';

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

export interface IMember {
  readonly user: IUser;
  readonly role: Role;
  readonly joined_at: string;
  readonly online: boolean;
}

export interface IInvitation {
  readonly id: string;
  readonly role: Role;
  readonly username?: string | null;
  readonly email?: string | null;
  readonly created_at: string;
  readonly expires_at: string;
  readonly uses: number;
  readonly max_uses: number;
}

export interface IInvited {
  readonly invitation: IInvitation;
  /** The link, shown this once; absent where the person is a member at once. */
  readonly url?: string | null;
}

/** Both numbers count from 1; columns count characters. */
export interface IPosition {
  readonly line: number;
  readonly column: number;
}

export interface ILocation {
  readonly cell_id?: string | null;
  readonly start: IPosition;
  readonly end: IPosition;
}

export interface IEdit {
  readonly location: ILocation;
  readonly new_text: string;
}

export interface IFix {
  readonly description: string;
  readonly edits: readonly IEdit[];
  readonly verified: boolean;
}

export type Category = 'syntax' | 'bug' | 'performance' | 'security';
export type Severity = 'error' | 'warning' | 'info';

export interface IFinding {
  readonly id: string;
  readonly category: Category;
  readonly severity: Severity;
  readonly title: string;
  readonly explanation: string;
  readonly location: ILocation;
  readonly source: string;
  readonly rule?: string | null;
  readonly cwe?: string | null;
  readonly confidence: string | number;
  readonly fix?: IFix | null;
}

/** What the debugger last found in a document, where it is by now. */
export interface IFound {
  /** Null where nobody has looked yet. */
  readonly operation_id: string | null;
  readonly items: readonly IFinding[];
}

export interface IReport {
  readonly operation_id: string;
  readonly summary: string;
  readonly findings: readonly IFinding[];
  readonly model: string | null;
  readonly analyzers: readonly string[];
  readonly duration_ms: number;
}

export interface ICheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string | null;
}

export interface IGeneration {
  readonly operation_id: string;
  readonly code: string;
  readonly language: string;
  readonly explanation: string;
  readonly edits: readonly IEdit[];
  readonly applied: boolean;
  readonly reason?: string | null;
  readonly checks: readonly ICheck[];
  readonly model: string | null;
  readonly duration_ms: number;
}

export interface ITarget {
  readonly mode:
    'append' | 'replace_document' | 'replace' | 'insert' | 'new_cell';
  readonly location?: ILocation;
}

export interface ILock {
  readonly id: string;
  readonly scope: 'document' | 'cell' | 'range';
  readonly location?: ILocation | null;
  readonly holder: IUser;
  readonly operation: string;
  readonly since: string;
  readonly expires_at: string;
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

/** Where a person confirms a grave action with their password. */
export interface IConfirmation {
  readonly id: string;
  /** A page without scripts, to be opened by itself. */
  readonly url: string;
}

export interface IErrorBody {
  readonly message: string;
  /** A fixed word; absent where the answer is not from this package. */
  readonly reason?: string;
  readonly errors?: readonly IFieldError[];
  /** With the reason `confirmation_required`. */
  readonly confirmation?: IConfirmation;
}

/** What a stretch of changes came from. */
export type Origin =
  'client' | 'load' | 'disk' | 'ai' | 'server' | 'restore' | 'merge';

/** A state of a document, after a stretch of changes that belong together. */
export interface IVersion {
  readonly version: string;
  /** The version before it; null for the first. */
  readonly previous: string | null;
  readonly from: string;
  readonly to: string;
  readonly authors: readonly IUser[];
  readonly origin: Origin;
  /** Characters. */
  readonly added: number;
  readonly removed: number;
  /** How people call it; null where nobody gave it a name. */
  readonly name: string | null;
  readonly named_by: IUser | null;
  /** Whether it never was what people saw, but was kept: a file that others changed. */
  readonly beside: boolean;
}

/** A stretch of lines, from 1; `to` is the line after the last. */
export interface ILines {
  readonly from: number;
  readonly to: number;
}

/** Some lines of the older of two texts, and what stands there in the newer one. */
export interface IHunk {
  readonly id: string;
  readonly old: ILines;
  readonly new: ILines;
}

export interface IVersionContent {
  readonly version: string;
  readonly at: string;
  readonly name: string | null;
  readonly path: string;
  readonly type: string;
  /** The text; of a notebook, nbformat's JSON. */
  readonly content: unknown;
  readonly diff?: { readonly hunks?: readonly IHunk[] };
}

/** Who wrote a line last, or a cell. */
export interface ICredit {
  readonly author: IUser | null;
  readonly at: string | null;
  readonly origin: Origin | null;
}

export interface IBlameLine extends ICredit {
  readonly line: number;
  /** All whose text stands in it. */
  readonly authors: readonly IUser[];
}

export interface IBlame {
  readonly lines?: readonly IBlameLine[];
  readonly cells?: readonly (ICredit & {
    readonly cell_id: string;
    readonly lines: readonly IBlameLine[];
  })[];
}
