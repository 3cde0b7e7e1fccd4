import { Clipboard, Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IInvitation, IMember, Role } from '../api/types';
import { FormDialog } from '../ui/formDialog';
import { nameOf } from './find';
import { roleName, roleNames } from './roleName';
import type { ILink, ShareModel } from './shareModel';

const LINK_ROLES: readonly Role[] = ['viewer', 'editor'];
/** How many may use a link that is not for one person. */
const MANY = 100;
const ROLES: readonly Role[] = ['viewer', 'editor', 'owner'];

/** What has the focus first. */
const FIRST = 'select';

/** Show with whom a path is shared, and let its owners change that. */
export async function showShareDialog(
  model: ShareModel,
  me: string,
  trans: TranslationBundle
): Promise<void> {
  const dialog = new FormDialog({
    title: trans.__('Share “%1”', nameOf(model.path)),
    body: new ShareView(model, me, trans),
    buttons: [Dialog.okButton({ label: trans.__('Done') })],
    hasClose: true,
    focusNodeSelector: FIRST
  });
  dialog.addClass('jp-CollabAI-shareDialog');
  try {
    await dialog.launch();
  } finally {
    model.dispose();
  }
}

class ShareView extends VDomRenderer<ShareModel> {
  constructor(
    model: ShareModel,
    private readonly _me: string,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('jp-CollabAI-share');
  }

  protected override render(): React.ReactElement {
    const { model } = this;
    const trans = this._trans;
    return (
      <>
        {model.session === undefined && model.error === null && (
          <p role="status">{trans.__('Looking with whom it is shared…')}</p>
        )}
        {model.error !== null && (
          <p role="alert" className="jp-CollabAI-problem">
            {model.error}
            {model.confirmation !== null && (
              <span className="jp-CollabAI-row">
                <a href={model.confirmation} target="_blank" rel="noopener">
                  {trans.__('Confirm with my password')}
                </a>
                <button
                  type="button"
                  className="jp-Button jp-mod-styled jp-mod-small"
                  aria-disabled={model.busy}
                  onClick={() => {
                    void model.confirmed();
                  }}
                >
                  {trans.__('I have confirmed it')}
                </button>
              </span>
            )}
          </p>
        )}
        {model.session !== undefined && model.manages && (
          <>
            <LinkForm model={model} trans={trans} />
            <NameForm model={model} trans={trans} />
          </>
        )}
        {model.done !== null && <p role="status">{model.done}</p>}
        {model.session && <Members model={model} me={this._me} trans={trans} />}
        {model.session === null && (
          <p className="jp-CollabAI-hint">
            {trans.__(
              'Nobody else can open it yet. Everybody whom you invite sees your changes as you type.'
            )}
          </p>
        )}
        {model.manages && <Invitations model={model} trans={trans} />}
        {model.session && !model.manages && (
          <p className="jp-CollabAI-hint">
            {trans.__('Only its owners can invite others and change roles.')}
          </p>
        )}
      </>
    );
  }
}

interface IPart {
  readonly model: ShareModel;
  readonly trans: TranslationBundle;
}

function RoleSelect(props: {
  label: string;
  roles: readonly Role[];
  value: Role;
  busy?: boolean;
  trans: TranslationBundle;
  onChange: (role: Role) => void;
}): React.ReactElement {
  return (
    <select
      aria-label={props.label}
      value={props.value}
      aria-disabled={props.busy}
      onChange={event => {
        if (!props.busy) {
          props.onChange(event.target.value as Role);
        }
      }}
    >
      {props.roles.map(role => (
        <option key={role} value={role}>
          {roleName(role, props.trans)}
        </option>
      ))}
    </select>
  );
}

function LinkForm({ model, trans }: IPart): React.ReactElement {
  const [role, setRole] = React.useState<Role>('editor');
  const [once, setOnce] = React.useState(false);
  const [copied, setCopied] = React.useState(false);
  const section = React.useRef<HTMLElement>(null);
  React.useEffect(() => {
    // The forms come after the dialog, which has put the focus on its button meanwhile.
    if (document.activeElement?.closest('.jp-Dialog-footer')) {
      section.current?.querySelector<HTMLElement>(FIRST)?.focus();
    }
  }, []);
  const { link } = model;
  const copy = (made: ILink): void => {
    const { activeElement } = document;
    Clipboard.copyToSystem(made.url);
    if (activeElement instanceof HTMLElement) {
      activeElement.focus(); // Copying takes it.
    }
    setCopied(true);
  };
  return (
    <section ref={section} aria-label={trans.__('Invite by link')}>
      <h3>{trans.__('Invite by link')}</h3>
      <div className="jp-CollabAI-row">
        <span>{trans.__('Whoever opens it becomes')}</span>
        <RoleSelect
          label={trans.__('Role that the link gives')}
          roles={LINK_ROLES}
          value={role}
          trans={trans}
          onChange={value => {
            setRole(value);
            setCopied(false);
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={once}
            onChange={event => {
              setOnce(event.target.checked);
            }}
          />
          {trans.__('for one person')}
        </label>
        <button
          type="button"
          className="jp-Button jp-mod-styled jp-mod-accept"
          aria-disabled={model.busy}
          onClick={() => {
            void model.makeLink(role, once ? 1 : MANY).then(made => {
              if (made !== null) {
                copy(made);
              }
            });
          }}
        >
          {trans.__('Copy new link')}
        </button>
      </div>
      {link !== null && (
        <div className="jp-CollabAI-row">
          <input
            type="text"
            readOnly
            aria-label={trans.__('Link')}
            className="jp-mod-styled jp-CollabAI-link"
            value={link.url}
            onFocus={event => {
              event.target.select();
            }}
          />
          <button
            type="button"
            className="jp-Button jp-mod-styled"
            onClick={() => {
              copy(link);
            }}
          >
            {trans.__('Copy')}
          </button>
        </div>
      )}
      {link !== null && (
        <p role="status" className="jp-CollabAI-hint">
          {copied ? trans.__('Copied.') : ''}{' '}
          {link.maxUses === 1
            ? trans.__(
                'The first person who opens it becomes %1.',
                roleName(link.role, trans)
              )
            : trans.__(
                'Up to %1 people who open it become %2.',
                link.maxUses,
                roleNames(link.role, trans)
              )}{' '}
          {trans.__(
            'It ends on %1, and is shown this once.',
            new Date(link.expiresAt).toLocaleDateString()
          )}
        </p>
      )}
    </section>
  );
}

function NameForm({ model, trans }: IPart): React.ReactElement {
  const [name, setName] = React.useState('');
  const [role, setRole] = React.useState<Role>('editor');
  const field = React.useRef<HTMLInputElement>(null);
  return (
    <section aria-label={trans.__('Invite by name')}>
      <h3>{trans.__('Invite by name')}</h3>
      <form
        className="jp-CollabAI-row"
        onSubmit={event => {
          event.preventDefault();
          const username = name.trim();
          if (username) {
            void model
              .inviteUser(
                username,
                role,
                trans.__('%1 can open it now.', username)
              )
              .then(ok => {
                if (ok) {
                  setName('');
                  field.current?.focus();
                }
              });
          }
        }}
      >
        <input
          ref={field}
          type="text"
          className="jp-mod-styled"
          aria-label={trans.__('Username')}
          placeholder={trans.__('Username')}
          autoComplete="off"
          spellCheck={false}
          value={name}
          onChange={event => {
            setName(event.target.value);
          }}
        />
        <RoleSelect
          label={trans.__('Role for this person')}
          roles={ROLES}
          value={role}
          trans={trans}
          onChange={setRole}
        />
        <button
          type="submit"
          className="jp-Button jp-mod-styled"
          aria-disabled={model.busy}
          disabled={!name.trim()}
        >
          {trans.__('Invite')}
        </button>
      </form>
    </section>
  );
}

function Members(props: IPart & { readonly me: string }): React.ReactElement {
  const { model, me, trans } = props;
  return (
    <section aria-label={trans.__('Members')}>
      <h3>{trans.__('Who has access')}</h3>
      <ul>
        {model.members.map(member => (
          <li key={member.user.id} className="jp-CollabAI-row">
            <Face member={member} trans={trans} />
            <span className="jp-CollabAI-who">
              {member.user.display_name}
              {member.user.username === me ? ` (${trans.__('you')})` : ''}
              <small>{member.user.username}</small>
            </span>
            {model.manages ? (
              <>
                <RoleSelect
                  label={trans.__('Role of %1', member.user.display_name)}
                  roles={ROLES}
                  value={member.role}
                  busy={model.busy}
                  trans={trans}
                  onChange={role => {
                    void model.setRole(member.user.username, role);
                  }}
                />
                <button
                  type="button"
                  className="jp-Button jp-mod-styled"
                  aria-disabled={model.busy}
                  aria-label={
                    member.user.username === me
                      ? trans.__('Leave')
                      : trans.__('Remove %1', member.user.display_name)
                  }
                  onClick={() => {
                    void model.remove(member.user.username);
                  }}
                >
                  {member.user.username === me
                    ? trans.__('Leave')
                    : trans.__('Remove')}
                </button>
              </>
            ) : (
              <span className="jp-CollabAI-badge">
                {roleName(member.role, trans)}
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Face(props: {
  member: IMember;
  trans: TranslationBundle;
}): React.ReactElement {
  const { user, online } = props.member;
  const state = online ? props.trans.__('online') : props.trans.__('offline');
  return (
    <span
      className={`jp-CollabAI-face${online ? ' jp-mod-online' : ''}`}
      style={{ backgroundColor: user.color }}
      role="img"
      aria-label={state}
      title={state}
    >
      {String.fromCodePoint(
        user.display_name.codePointAt(0) ?? 0x3f
      ).toUpperCase()}
    </span>
  );
}

function Invitations({ model, trans }: IPart): React.ReactElement | null {
  const open = model.invitations.filter(isOpen);
  if (open.length === 0) {
    return null;
  }
  return (
    <section aria-label={trans.__('Open invitations')}>
      <h3>{trans.__('Open invitations')}</h3>
      <ul>
        {open.map(invitation => (
          <li key={invitation.id} className="jp-CollabAI-row">
            <span className="jp-CollabAI-who">
              {invitation.username ??
                trans.__('Link for %1', roleName(invitation.role, trans))}
              <small>
                {trans.__(
                  'until %1, used by %2 of %3',
                  new Date(invitation.expires_at).toLocaleDateString(),
                  invitation.uses,
                  invitation.max_uses
                )}
              </small>
            </span>
            <button
              type="button"
              className="jp-Button jp-mod-styled"
              aria-disabled={model.busy}
              onClick={() => {
                void model.revoke(invitation.id);
              }}
            >
              {trans.__('Revoke')}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function isOpen(invitation: IInvitation): boolean {
  return (
    new Date(invitation.expires_at).getTime() > Date.now() &&
    invitation.uses < invitation.max_uses
  );
}
