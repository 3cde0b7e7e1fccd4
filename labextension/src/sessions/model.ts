import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';

import type { ICollabClient } from '../api/client';
import { sentenceOf } from '../api/errors';
import type { ISession } from '../api/types';

/** Milliseconds between two looks while the panel is open. */
const INTERVAL = 30_000;
const PAGE_SIZE = 50;

/**
 * The sessions of the person in this browser, as far as they were asked for.
 */
export class SessionsModel extends VDomModel {
  constructor(
    private readonly _client: ICollabClient,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this._poll = new Poll({
      name: 'jupyter-collab-ai:sessions',
      auto: false,
      factory: () => this._load(),
      frequency: { interval: INTERVAL, backoff: true, max: 10 * INTERVAL },
      standby: () => document.hidden || !this._watched
    });
  }

  /** Null until the first answer. */
  get sessions(): readonly ISession[] | null {
    return this._sessions;
  }

  /** Why the list could not be had the last time; null where it could. */
  get error(): string | null {
    return this._error;
  }

  get hasMore(): boolean {
    return this._next !== null;
  }

  /** Whether somebody looks at the list; it is kept up to date while somebody does. */
  set watched(watched: boolean) {
    this._watched = watched;
    if (watched) {
      void this.refresh();
    }
  }

  async refresh(): Promise<void> {
    await this._poll.refresh();
  }

  /** Ask for one page more than there is now. */
  async showMore(): Promise<void> {
    this._pages += 1;
    await this.refresh();
  }

  override dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  private async _load(): Promise<void> {
    try {
      const sessions: ISession[] = [];
      let next: string | null = null;
      for (let page = 0; page < this._pages; page++) {
        const answer = await this._client.sessions({
          limit: PAGE_SIZE,
          ...(next === null ? {} : { after: next })
        });
        sessions.push(...answer.items);
        next = answer.next;
        if (next === null) {
          break;
        }
      }
      this._sessions = sessions;
      this._next = next;
      this._error = null;
    } catch (error) {
      this._error = sentenceOf(error, this._trans);
      // The poll waits longer after each failure.
      throw error;
    } finally {
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  private readonly _poll: Poll;
  private _watched = false;
  private _pages = 1;
  private _sessions: readonly ISession[] | null = null;
  private _next: string | null = null;
  private _error: string | null = null;
}
