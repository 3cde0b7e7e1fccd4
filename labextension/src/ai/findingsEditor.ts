import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint';
import { Compartment, type Extension } from '@codemirror/state';
import { type EditorView, ViewPlugin } from '@codemirror/view';
import type { TranslationBundle } from '@jupyterlab/translation';
import type * as Y from 'yjs';

import type { ILiveDocument } from '../documents/liveDocument';
import type { Findings, ILiveFinding } from './findings';
import { describe } from './words';

export interface IFindingsEditorOptions {
  readonly document: ILiveDocument;
  readonly text: Y.Text;
  readonly findings: Findings;
  readonly trans: TranslationBundle;
  readonly applyFix: (document: ILiveDocument, found: ILiveFinding) => void;
}

/**
 * Show what was found in one editor: underlined, in the gutter, and explained under the mouse.
 */
export function findingsEditor(options: IFindingsEditorOptions): Extension {
  const gutter = new Compartment();
  const follow = ViewPlugin.define(view => {
    let over = false;
    let shown = false;
    const show = (): void => {
      if (over) {
        return;
      }
      const diagnostics = diagnosticsOf(view, options);
      const any = diagnostics.length > 0;
      if (!any && !shown) {
        return;
      }
      // The gutter takes room, so it is there only where something is in it.
      const effects =
        any === shown ? [] : [gutter.reconfigure(any ? lintGutter() : [])];
      shown = any;
      view.dispatch({ effects });
      view.dispatch(setDiagnostics(view.state, diagnostics));
    };
    const later = (_: unknown, document: ILiveDocument): void => {
      if (document === options.document) {
        // An editor can't be changed while it is being changed.
        window.requestAnimationFrame(show);
      }
    };
    options.findings.changed.connect(later);
    window.requestAnimationFrame(show);
    return {
      destroy: () => {
        over = true;
        options.findings.changed.disconnect(later);
      }
    };
  });
  return [gutter.of([]), follow];
}

function diagnosticsOf(
  view: EditorView,
  options: IFindingsEditorOptions
): Diagnostic[] {
  const { document, text, findings, trans, applyFix } = options;
  const diagnostics: Diagnostic[] = [];
  for (const found of findings.of(document)?.findings ?? []) {
    const range = found.anchor?.text === text ? found.anchor.range : null;
    if (range === null || !found.anchor?.intact) {
      continue;
    }
    const { finding } = found;
    const size = view.state.doc.length;
    const from = Math.min(range.from, size);
    diagnostics.push({
      from,
      to: Math.min(Math.max(range.to, from), size),
      severity: finding.severity,
      source: describe(finding, trans),
      message: finding.title,
      markClass: `jp-CollabAI-found-${finding.category}`,
      renderMessage: () => explain(found),
      ...(finding.fix && document.may('generate') && finding.fix.verified
        ? {
            actions: [
              {
                name: trans.__('Apply fix'),
                apply: () => {
                  applyFix(document, found);
                }
              }
            ]
          }
        : {})
    });
  }
  return diagnostics;
}

function explain({ finding }: ILiveFinding): HTMLElement {
  const node = document.createElement('div');
  node.className = 'jp-CollabAI-explanation';
  const title = document.createElement('strong');
  title.textContent = finding.title;
  node.append(title);
  for (const text of [finding.explanation, finding.fix?.description]) {
    if (text && text !== finding.title) {
      const line = document.createElement('p');
      line.textContent = text;
      node.append(line);
    }
  }
  return node;
}
