import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Bar } from '../ui/bar';
import type { ILiveDocument } from './liveDocument';

/** Milliseconds after which it is said that something is not yet saved. */
const PATIENCE = 2_000;

/**
 * Says above a document what is not as usual: that one may only look, that the connection is
 * lost, that something is not saved. Where all is well it takes no room.
 */
export class DocumentBanner extends Bar {
  constructor(
    private readonly _live: ILiveDocument,
    private readonly _trans: TranslationBundle
  ) {
    super();
  }

  protected override renderContent(): React.ReactElement {
    return (
      <UseSignal signal={this._live.changed}>
        {() => <Lines live={this._live} trans={this._trans} />}
      </UseSignal>
    );
  }
}

function Lines(props: {
  live: ILiveDocument;
  trans: TranslationBundle;
}): React.ReactElement {
  const { live, trans } = props;
  const late = useLate(live.unsaved && live.connection === 'online');
  return (
    <>
      {live.readOnly && live.connection !== 'ended' && (
        <Line badge={trans.__('View only')}>
          {trans.__(
            'You see every change as it happens. To edit, ask an owner to make you an editor.'
          )}
        </Line>
      )}
      {live.connection === 'offline' && (
        <Line badge={trans.__('Offline')} warn>
          {trans.__(
            'The connection is lost. What you type stays here and is shared as soon as it is back.'
          )}
        </Line>
      )}
      {live.connection === 'ended' && (
        <Line badge={trans.__('Disconnected')} warn>
          {trans.__('This document no longer follows the others.')}
        </Line>
      )}
      {!late && live.trouble !== null && live.connection === 'online' && (
        <Line badge={trans.__('Not in the file')} warn>
          {trans.__(
            'Your changes are kept, but not in the file: %1',
            live.trouble
          )}
        </Line>
      )}
      {late && (
        <Line badge={trans.__('Not saved')} warn>
          {trans.__(
            'The server has not recorded your last changes yet. Keep this page open.'
          )}
        </Line>
      )}
    </>
  );
}

function Line(props: {
  badge: string;
  warn?: boolean;
  children: string;
}): React.ReactElement {
  return (
    <div className={`jp-CollabAI-banner${props.warn ? ' jp-mod-warn' : ''}`}>
      <span className="jp-CollabAI-badge">{props.badge}</span>
      <span>{props.children}</span>
    </div>
  );
}

/** Return whether something has been so for a while. */
function useLate(is: boolean): boolean {
  const [late, setLate] = React.useState(false);
  React.useEffect(() => {
    if (!is) {
      setLate(false);
      return undefined;
    }
    const timer = window.setTimeout(() => {
      setLate(true);
    }, PATIENCE);
    return () => {
      window.clearTimeout(timer);
    };
  }, [is]);
  return late;
}
