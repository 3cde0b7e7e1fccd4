import { IJupyterWidgetRegistry } from '@jupyter-widgets/base';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Panel } from '@lumino/widgets';

import { AssistantToken, type IAssistant } from '../ai/tokens';
import { type ILiveDocuments, ILiveDocumentsToken } from '../documents/tokens';
import { AIDebuggerModel, PROTOCOL, pushReport, viewClass } from './model';
import { DebuggerOutput, type IOutputContext } from './output';

const MIME_TYPE = 'application/vnd.jupyter-collab-ai.debugger+json';
/** Before that of widgets (-10), which can draw nothing without a kernel. */
const RANK = -20;

class DebuggerRenderer extends Panel implements IRenderMime.IRenderer {
  constructor(private readonly _context: IOutputContext) {
    super();
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const data = model.data[MIME_TYPE];
    const told =
      typeof data === 'object' && data !== null && 'model_id' in data
        ? data.model_id
        : null;
    const modelId = typeof told === 'string' ? told : '';
    for (const widget of [...this.widgets]) {
      widget.dispose();
    }
    this.addWidget(
      new DebuggerOutput(this._context, report => {
        pushReport(modelId, report);
      })
    );
    return Promise.resolve();
  }
}

/**
 * Draws Python's `AIDebugger`, with a kernel and without.
 */
export const widgetsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:widgets',
  description: 'Draws the AIDebugger of notebooks.',
  autoStart: true,
  requires: [AssistantToken, ILiveDocumentsToken, IRenderMimeRegistry],
  optional: [IJupyterWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    assistant: IAssistant,
    documents: ILiveDocuments,
    rendermime: IRenderMimeRegistry,
    registry: IJupyterWidgetRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const context: IOutputContext = { app, documents, assistant, trans };
    rendermime.addFactory(
      {
        safe: true,
        mimeTypes: [MIME_TYPE],
        createRenderer: () => new DebuggerRenderer(context)
      },
      RANK
    );
    registry?.registerWidget({
      name: 'jupyter-collab-ai',
      version: PROTOCOL,
      exports: { AIDebuggerModel, AIDebuggerView: viewClass(context) }
    });
  }
};
