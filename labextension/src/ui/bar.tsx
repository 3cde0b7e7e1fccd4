import { ReactWidget } from '@jupyterlab/ui-components';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

/**
 * A bar above a document that is as high as what it says, and takes no room while it says
 * nothing.
 */
export abstract class Bar extends ReactWidget {
  constructor() {
    super();
    this.addClass('jp-CollabAI-bar');
    this.node.setAttribute('role', 'status');
  }

  override dispose(): void {
    this._observer.disconnect();
    super.dispose();
  }

  protected abstract renderContent(): React.ReactElement;

  protected override render(): React.ReactElement {
    return <div ref={this._onContent}>{this.renderContent()}</div>;
  }

  private readonly _onContent = (content: HTMLDivElement | null): void => {
    this._observer.disconnect();
    if (content !== null) {
      this._observer.observe(content);
    }
  };

  private readonly _observer = new ResizeObserver(entries => {
    const height = Math.ceil(entries[0]?.contentRect.height ?? 0);
    // The layout gives a widget the least height that its style asks for.
    this.node.style.minHeight = `${height}px`;
    if (this.parent !== null) {
      MessageLoop.postMessage(this.parent, Widget.Msg.FitRequest);
    }
  });
}
