import { DOMWidgetModel, DOMWidgetView } from '@jupyter-widgets/base';
import { Widget } from '@lumino/widgets';

import type { IReport } from '../api/types';
import { DebuggerOutput, type IOutputContext } from './output';

/** The version of the protocol between these classes and Python's `AIDebugger`. */
export const PROTOCOL = '1.0.0';

const models = new Map<string, AIDebuggerModel>();

/** Let the kernel's object of an id know of a report, where this page has a kernel. */
export function pushReport(modelId: string, report: IReport): void {
  const model = models.get(modelId);
  if (model !== undefined) {
    model.set('report', report);
    model.save_changes();
  }
}

/** The counterpart of Python's `AIDebugger`. */
export class AIDebuggerModel extends DOMWidgetModel {
  override defaults(): ReturnType<DOMWidgetModel['defaults']> {
    return {
      ...super.defaults(),
      _model_name: 'AIDebuggerModel',
      _model_module: 'jupyter-collab-ai',
      _model_module_version: PROTOCOL,
      _view_name: 'AIDebuggerView',
      _view_module: 'jupyter-collab-ai',
      _view_module_version: PROTOCOL,
      report: {}
    };
  }

  override initialize(...args: Parameters<DOMWidgetModel['initialize']>): void {
    super.initialize(...args);
    models.set(this.model_id, this);
    this.once('destroy', () => {
      models.delete(this.model_id);
    });
  }
}

/** Return the class that draws an `AIDebugger` within other widgets. */
export function viewClass(context: IOutputContext): typeof DOMWidgetView {
  return class AIDebuggerView extends DOMWidgetView {
    override render(): void {
      super.render();
      const { model_id: modelId } = this.model;
      const output = new DebuggerOutput(context, report => {
        pushReport(modelId, report);
      });
      void this.displayed.then(() => {
        Widget.attach(output, this.el);
      });
      this.once('remove', () => {
        output.dispose();
      });
    }
  };
}
