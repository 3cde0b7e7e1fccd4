import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { FindingsList } from '../ai/findingsView';
import type { IAssistant } from '../ai/tokens';
import type { IReport } from '../api/types';
import type { ILiveDocument, ILiveDocuments } from '../documents/liveDocument';

export interface IOutputContext {
  readonly app: JupyterFrontEnd;
  readonly documents: ILiveDocuments;
  readonly assistant: IAssistant;
  readonly trans: TranslationBundle;
}

/**
 * What an `AIDebugger` shows: a button, and the findings in the notebook that it stands in. It
 * asks as the person in this browser.
 */
export class DebuggerOutput extends ReactWidget {
  constructor(
    private readonly _context: IOutputContext,
    /** Told of what was found, for the kernel's code to use. */
    private readonly _onReport: (report: IReport) => void
  ) {
    super();
    this.addClass('jp-CollabAI-findings');
    this.addClass('jp-CollabAI-debuggerOutput');
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._look();
    this._context.documents.added.connect(this._look, this);
  }

  protected override onBeforeDetach(msg: Message): void {
    this._context.documents.added.disconnect(this._look, this);
    this._document?.changed.disconnect(this._tell, this);
    this._document = null;
    super.onBeforeDetach(msg);
  }

  protected override render(): React.ReactElement {
    const { assistant, trans } = this._context;
    return (
      <UseSignal signal={assistant.findings.changed}>
        {() => (
          <UseSignal signal={this._changed}>
            {() =>
              this._document === null ? (
                <p className="jp-CollabAI-hint">
                  {trans.__(
                    'The AI debugger works in notebooks that are open for co-editing.'
                  )}
                </p>
              ) : (
                <FindingsList
                  document={this._document}
                  findings={assistant.findings}
                  trans={trans}
                  jump={assistant.jump}
                  applyFix={assistant.applyFix}
                  applyFixes={assistant.applyFixes}
                  debug={document => {
                    void this._debug(document);
                  }}
                />
              )
            }
          </UseSignal>
        )}
      </UseSignal>
    );
  }

  private async _debug(document: ILiveDocument): Promise<void> {
    const report = await this._context.assistant.debug(document);
    if (report !== null) {
      this._onReport(report);
    }
  }

  /** Find the notebook that this stands in. */
  private _look(): void {
    const { app, documents } = this._context;
    for (const widget of app.shell.widgets('main')) {
      if (widget.node.contains(this.node)) {
        const found = documents.of(widget);
        if (found !== this._document) {
          this._document?.changed.disconnect(this._tell, this);
          this._document = found;
          found?.changed.connect(this._tell, this);
          this._tell();
        }
        return;
      }
    }
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _document: ILiveDocument | null = null;
  private readonly _changed = new Signal<this, void>(this);
}
