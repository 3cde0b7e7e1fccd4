import type { TranslationBundle } from '@jupyterlab/translation';
import {
  Button,
  fileIcon,
  folderIcon,
  type LabIcon,
  notebookIcon,
  VDomRenderer
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { ISession, SessionType } from '../api/types';
import type { SessionsModel } from './model';
import { shareIcon } from './icons';
import { roleName } from './roleName';

const ICONS: Record<SessionType, LabIcon> = {
  file: fileIcon,
  directory: folderIcon,
  notebook: notebookIcon
};

/**
 * The list in the side panel.
 */
export class SessionsView extends VDomRenderer<SessionsModel> {
  constructor(
    model: SessionsModel,
    private readonly _open: (session: ISession) => void,
    private readonly _share: (session: ISession) => void,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('jp-CollabAI-sessions');
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._watch();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._watch();
  }

  protected override onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this.model.watched = false;
  }

  protected override onBeforeDetach(msg: Message): void {
    this.model.watched = false;
    super.onBeforeDetach(msg);
  }

  protected override render(): React.ReactElement {
    const { sessions, error, hasMore } = this.model;
    const trans = this._trans;
    return (
      <>
        {error !== null && (
          <p role="alert" className="jp-CollabAI-problem">
            {trans.__('Your sessions can’t be listed: %1', error)}
          </p>
        )}
        {sessions === null && error === null && (
          <p role="status">{trans.__('Looking for your sessions…')}</p>
        )}
        {sessions?.length === 0 && (
          <p>
            {trans.__(
              'Nothing is shared with you yet. Follow an invitation link, or share a file of yours.'
            )}
          </p>
        )}
        {sessions !== null && sessions.length > 0 && (
          <ul aria-label={trans.__('Sessions')}>
            {sessions.map(session => (
              <li key={session.id} className="jp-CollabAI-sessionItem">
                {this._renderSession(session)}
                <button
                  type="button"
                  className="jp-Button jp-mod-minimal"
                  aria-label={trans.__('Share “%1”', session.name)}
                  title={trans.__('Invite others, and see who has access')}
                  onClick={() => {
                    this._share(session);
                  }}
                >
                  <shareIcon.react tag="span" aria-hidden="true" />
                </button>
              </li>
            ))}
          </ul>
        )}
        {hasMore && (
          <Button
            onClick={() => {
              void this.model.showMore();
            }}
          >
            {trans.__('Show more')}
          </Button>
        )}
      </>
    );
  }

  private _renderSession(session: ISession): React.ReactElement {
    const trans = this._trans;
    const Icon = ICONS[session.type];
    return (
      <button
        type="button"
        className="jp-CollabAI-session"
        title={session.path}
        onClick={() => {
          this._open(session);
        }}
      >
        <Icon.react tag="span" stylesheet="listing" aria-hidden="true" />
        <span className="jp-CollabAI-sessionName">{session.name}</span>{' '}
        <span className="jp-CollabAI-sessionRole">
          {roleName(session.role, trans)}
        </span>{' '}
        <span className="jp-CollabAI-sessionPath">{session.path}</span>
      </button>
    );
  }

  private _watch(): void {
    if (this.isVisible) {
      this.model.watched = true;
    }
  }
}
