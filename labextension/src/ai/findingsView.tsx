import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { ILiveDocument } from '../documents/liveDocument';
import type { Findings, ILiveFinding } from './findings';
import { positionOf } from './positions';
import { cellNumber } from './texts';
import { categoryName, CATEGORIES, describe } from './words';

export interface IFindingsViewOptions {
  readonly findings: Findings;
  readonly trans: TranslationBundle;
  readonly debug: (document: ILiveDocument) => void;
  readonly jump: (document: ILiveDocument, found: ILiveFinding) => void;
  readonly applyFix: (document: ILiveDocument, found: ILiveFinding) => void;
  /** Apply several fixes, one after the other. */
  readonly applyFixes: (
    document: ILiveDocument,
    found: readonly ILiveFinding[]
  ) => void;
}

/**
 * What was found in the document in front, as a list.
 */
export class FindingsView extends ReactWidget {
  constructor(private readonly _options: IFindingsViewOptions) {
    super();
    this.addClass('jp-CollabAI-findings');
  }

  /** The document whose findings are shown. */
  set document(document: ILiveDocument | null) {
    if (document !== this._document) {
      this._document?.changed.disconnect(this._tell, this);
      this._document = document;
      document?.changed.connect(this._tell, this);
      this._tell();
    }
  }

  protected override render(): React.ReactElement {
    return (
      <UseSignal signal={this._options.findings.changed}>
        {() => (
          <UseSignal signal={this._changed}>
            {() => (
              <FindingsList document={this._document} {...this._options} />
            )}
          </UseSignal>
        )}
      </UseSignal>
    );
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _document: ILiveDocument | null = null;
  private readonly _changed = new Signal<this, void>(this);
}

/** The findings of one document by kind; also what an `AIDebugger` shows. */
export function FindingsList(
  props: Omit<IFindingsViewOptions, 'debug'> & {
    readonly document: ILiveDocument | null;
    readonly debug?: (document: ILiveDocument) => void;
  }
): React.ReactElement {
  const { document, findings, trans, debug } = props;
  if (document === null) {
    return (
      <p className="jp-CollabAI-hint">
        {trans.__('Open a file or a notebook to look for faults in it.')}
      </p>
    );
  }
  const review = findings.of(document);
  const count = review?.findings.length ?? 0;
  return (
    <>
      <p className="jp-CollabAI-row">
        <span className="jp-CollabAI-grow" role="status">
          {review === null
            ? trans.__('Not looked at yet.')
            : count === 0
              ? trans.__('Nothing was found.')
              : trans._n('%1 finding', '%1 findings', count)}
        </span>
        {debug !== undefined && document.may('debug') && (
          <button
            type="button"
            className="jp-Button jp-mod-styled jp-mod-small"
            onClick={() => {
              debug(document);
            }}
          >
            {trans.__('Debug')}
          </button>
        )}
      </p>
      {CATEGORIES.map(category => {
        const own = (review?.findings ?? []).filter(
          ({ finding }) => finding.category === category
        );
        return own.length === 0 ? null : (
          <section
            key={category}
            aria-label={categoryName(category, trans)}
            className={`jp-CollabAI-category jp-mod-${category}`}
          >
            <h3>
              {categoryName(category, trans)} <small>{own.length}</small>
              <ApplyAll {...props} document={document} found={own} />
            </h3>
            <ul>
              {own.map(found => (
                <FindingItem
                  key={found.finding.id}
                  {...props}
                  document={document}
                  found={found}
                />
              ))}
            </ul>
          </section>
        );
      })}
    </>
  );
}

/** A button for all verified fixes, where there are several. */
function ApplyAll(
  props: Pick<IFindingsViewOptions, 'trans' | 'applyFixes'> & {
    readonly document: ILiveDocument;
    readonly found: readonly ILiveFinding[];
  }
): React.ReactElement | null {
  const { document, trans, applyFixes } = props;
  const verified = props.found.filter(
    ({ finding, anchor }) => finding.fix?.verified && anchor?.intact
  );
  if (verified.length < 2 || !document.may('generate')) {
    return null;
  }
  return (
    <button
      type="button"
      className="jp-Button jp-mod-styled jp-mod-small jp-mod-accept"
      onClick={() => {
        applyFixes(document, verified);
      }}
    >
      {trans.__('Apply all %1 verified fixes', verified.length)}
    </button>
  );
}

function FindingItem(
  props: Pick<IFindingsViewOptions, 'trans' | 'jump' | 'applyFix'> & {
    readonly document: ILiveDocument;
    readonly found: ILiveFinding;
  }
): React.ReactElement {
  const { document, found, trans, jump, applyFix } = props;
  const { finding, anchor } = found;
  const [open, setOpen] = React.useState(false);
  const intact = anchor?.intact ?? false;
  return (
    <li
      className={`jp-CollabAI-finding jp-mod-${finding.severity}${intact ? '' : ' jp-mod-stale'}`}
    >
      <button
        type="button"
        className="jp-CollabAI-findingTitle"
        aria-expanded={open}
        title={describe(finding, trans)}
        onClick={() => {
          setOpen(true);
          if (intact) {
            jump(document, found);
          }
        }}
      >
        <span>{finding.title}</span>
        <small>{placeOf(document, found, trans)}</small>
      </button>
      {open && (
        <div className="jp-CollabAI-explanation">
          {finding.explanation !== finding.title && (
            <p>{finding.explanation}</p>
          )}
          {finding.fix && <p>{finding.fix.description}</p>}
          <small>{describe(finding, trans)}</small>
        </div>
      )}
      {finding.fix && intact && document.may('generate') && (
        <button
          type="button"
          className={`jp-Button jp-mod-styled jp-mod-small${finding.fix.verified ? ' jp-mod-accept' : ''}`}
          title={
            finding.fix.verified
              ? trans.__(
                  'It was tried on a copy: the code still parses, this finding is gone, and there is no new one.'
                )
              : trans.__('It was not verified: look at the result.')
          }
          onClick={() => {
            applyFix(document, found);
          }}
        >
          {finding.fix.verified
            ? trans.__('Apply verified fix')
            : trans.__('Apply fix, unverified')}
        </button>
      )}
      {!intact && (
        <small className="jp-CollabAI-hint">
          {trans.__('The text has changed since.')}
        </small>
      )}
    </li>
  );
}

function placeOf(
  document: ILiveDocument,
  { finding, anchor }: ILiveFinding,
  trans: TranslationBundle
): string {
  const cell = cellNumber(document.model, finding.location.cell_id ?? null);
  const range = anchor?.range;
  const line = range
    ? positionOf(anchor.text.toJSON(), range.from).line
    : finding.location.start.line;
  return cell === null
    ? trans.__('line %1', line)
    : trans.__('cell %1, line %2', cell, line);
}
