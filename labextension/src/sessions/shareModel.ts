import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';

import type { ICollabClient } from '../api/client';
import { ApiError, sentenceOf } from '../api/errors';
import type { IInvitation, IMember, ISession, Role } from '../api/types';
import { findSession, nameOf } from './find';

/** A link that was just made; the server shows it this once. */
export interface ILink {
  readonly url: string;
  readonly role: Role;
  readonly expiresAt: string;
  readonly maxUses: number;
}

/**
 * With whom a file or folder is shared, and the ways to change that.
 *
 * Nothing is shared before somebody is invited.
 */
export class ShareModel extends VDomModel {
  constructor(
    private readonly _client: ICollabClient,
    readonly path: string,
    private readonly _knownSession: string | null,
    private readonly _trans: TranslationBundle
  ) {
    super();
    void this._load();
  }

  /** Undefined until it is known; null where the path is not shared. */
  get session(): ISession | null | undefined {
    return this._session;
  }

  get members(): readonly IMember[] {
    return this._members;
  }

  get invitations(): readonly IInvitation[] {
    return this._invitations;
  }

  get link(): ILink | null {
    return this._link;
  }

  /** What went wrong at last; null where nothing did. */
  get error(): string | null {
    return this._error;
  }

  /** What was done at last. */
  get done(): string | null {
    return this._done;
  }

  /** Where the person has to confirm what they asked for; null where nothing waits for that. */
  get confirmation(): string | null {
    return this._confirmation;
  }

  /** Ask once more for what had to be confirmed. */
  async confirmed(): Promise<void> {
    const work = this._waiting;
    if (work !== null) {
      await this._do(work);
    }
  }

  get busy(): boolean {
    return this._busy;
  }

  /** Whether the person may invite and change roles. */
  get manages(): boolean {
    const session = this._session;
    return (
      session === null ||
      (session !== undefined &&
        (session.role === 'owner' || session.role === null))
    );
  }

  /** Make a link that gives `role` to whoever opens it. */
  async makeLink(role: Role, maxUses: number): Promise<ILink | null> {
    const made = await this._do(async () => {
      const session = await this._share();
      const { invitation, url } = await this._client.invite({
        session_id: session.id,
        role,
        max_uses: maxUses
      });
      if (url) {
        this._link = {
          url,
          role,
          expiresAt: invitation.expires_at,
          maxUses: invitation.max_uses
        };
      }
    });
    return made ? this._link : null;
  }

  /** Invite somebody by name; where there is no such account, by a link for that name alone. */
  async inviteUser(
    username: string,
    role: Role,
    done: string
  ): Promise<boolean> {
    return this._do(async () => {
      const session = await this._share();
      const { invitation, url } = await this._client.invite({
        session_id: session.id,
        role,
        username
      });
      if (url) {
        this._link = {
          url,
          role,
          expiresAt: invitation.expires_at,
          maxUses: invitation.max_uses
        };
      } else {
        this._done = done;
      }
    });
  }

  async setRole(username: string, role: Role): Promise<void> {
    await this._do(async () => {
      const session = await this._share();
      await this._client.setRole(session.id, username, role);
    });
  }

  async remove(username: string): Promise<void> {
    await this._do(async () => {
      const session = await this._share();
      await this._client.removeMember(session.id, username);
    });
  }

  async revoke(invitation: string): Promise<void> {
    await this._do(async () => {
      const session = await this._share();
      await this._client.revokeInvitation(session.id, invitation);
    });
  }

  override dispose(): void {
    this._events?.close();
    super.dispose();
  }

  /** Do one thing at a time; return whether it was done. */
  private async _do(work: () => Promise<void>): Promise<boolean> {
    if (this._busy) {
      return false;
    }
    this._busy = true;
    this._error = null;
    this._done = null;
    this._confirmation = this._waiting = null;
    this.stateChanged.emit();
    try {
      await work();
      await this._read();
    } catch (error) {
      this._error = sentenceOf(error, this._trans);
      if (error instanceof ApiError && error.confirmation !== null) {
        this._confirmation = error.confirmation.url;
        this._waiting = work;
      }
    } finally {
      this._busy = false;
      this._tell();
    }
    return this._error === null;
  }

  private async _load(): Promise<void> {
    try {
      this._session =
        this._knownSession === null
          ? await findSession(this._client, this.path)
          : await this._client.session(this._knownSession);
      await this._read();
    } catch (error) {
      this._error = sentenceOf(error, this._trans);
    }
    this._tell();
  }

  private async _share(): Promise<ISession> {
    this._session ??= await this._client.createSession(
      nameOf(this.path),
      this.path
    );
    return this._session;
  }

  private async _read(): Promise<void> {
    const session = this._session;
    if (!session || this.isDisposed) {
      return;
    }
    this._follow(session.id);
    const [members, invitations] = await Promise.all([
      this._client.members(session.id),
      this.manages ? this._client.invitations(session.id) : []
    ]);
    this._members = members;
    this._invitations = invitations;
  }

  private _follow(id: string): void {
    if (this._events !== null) {
      return;
    }
    this._events = new EventSource(this._client.eventsUrl(id));
    const refresh = (): void => {
      this._read().then(
        () => {
          this._tell();
        },
        () => undefined
      );
    };
    for (const name of ['open', 'member', 'role', 'presence']) {
      this._events.addEventListener(name, refresh);
    }
  }

  private _tell(): void {
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private _session: ISession | null | undefined = undefined;
  private _members: readonly IMember[] = [];
  private _invitations: readonly IInvitation[] = [];
  private _link: ILink | null = null;
  private _error: string | null = null;
  private _done: string | null = null;
  private _busy = false;
  private _confirmation: string | null = null;
  private _waiting: (() => Promise<void>) | null = null;
  private _events: EventSource | null = null;
}
