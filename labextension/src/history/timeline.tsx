import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IVersion } from '../api/types';
import type { HistoryModel } from './model';
import { clockOf, dayOf, madeBy, nameOf } from './words';

/**
 * The versions of a document, by day, newest first.
 */
export class Timeline extends VDomRenderer<HistoryModel> {
  constructor(
    model: HistoryModel,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('jp-CollabAI-timeline');
  }

  protected override render(): React.ReactElement {
    const { model } = this;
    const trans = this._trans;
    const { versions } = model;
    return (
      <>
        <label className="jp-CollabAI-row">
          <input
            type="checkbox"
            checked={model.namedOnly}
            onChange={event => {
              void model.showNamedOnly(event.target.checked);
            }}
          />
          {trans.__('Named versions only')}
        </label>
        {versions === null && model.error === null && (
          <p role="status">{trans.__('Looking up the history…')}</p>
        )}
        {versions?.length === 0 && (
          <p className="jp-CollabAI-hint">
            {model.namedOnly
              ? trans.__('No version has a name yet.')
              : trans.__('Nothing has been changed yet.')}
          </p>
        )}
        {byDay(versions ?? [], trans).map(([day, own]) => (
          <section key={day} aria-label={day}>
            <h3>{day}</h3>
            <ul>
              {own.map(version => (
                <li key={version.version}>{this._renderVersion(version)}</li>
              ))}
            </ul>
          </section>
        ))}
        {model.hasMore && (
          <button
            type="button"
            className="jp-Button jp-mod-styled jp-mod-small"
            onClick={() => {
              void model.showMore();
            }}
          >
            {trans.__('Show older')}
          </button>
        )}
      </>
    );
  }

  private _renderVersion(version: IVersion): React.ReactElement {
    const { model } = this;
    const trans = this._trans;
    const chosen = model.selected?.version === version.version;
    const by = madeBy(version, trans);
    return (
      <button
        type="button"
        className="jp-CollabAI-version"
        aria-current={chosen}
        onClick={() => {
          void model.select(version);
        }}
      >
        <span className="jp-CollabAI-versionTime">{clockOf(version.to)}</span>
        <span className="jp-CollabAI-versionWho">
          {version.authors.map(author => (
            <span
              key={author.id}
              className="jp-CollabAI-dot"
              style={{ background: author.color }}
              title={nameOf(author)}
              aria-hidden="true"
            />
          ))}
          {version.name ?? by}
        </span>
        <small className="jp-CollabAI-versionSize">
          {version.name ? `${by} · ` : ''}
          <span className="jp-mod-added">+{version.added}</span>{' '}
          <span className="jp-mod-removed">−{version.removed}</span>
        </small>
      </button>
    );
  }
}

function byDay(
  versions: readonly IVersion[],
  trans: TranslationBundle
): [string, IVersion[]][] {
  const now = new Date();
  const days = new Map<string, IVersion[]>();
  for (const version of versions) {
    const day = dayOf(version.to, now, trans);
    days.set(day, [...(days.get(day) ?? []), version]);
  }
  return [...days];
}
