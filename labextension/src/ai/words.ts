import type { TranslationBundle } from '@jupyterlab/translation';

import type { Category, IFinding } from '../api/types';

export const CATEGORIES: readonly Category[] = [
  'syntax',
  'bug',
  'security',
  'performance'
];

/** Return how a kind of fault is called. */
export function categoryName(
  category: Category,
  trans: TranslationBundle
): string {
  switch (category) {
    case 'syntax':
      return trans.__('Syntax');
    case 'bug':
      return trans.__('Bug');
    case 'security':
      return trans.__('Security');
    case 'performance':
      return trans.__('Performance');
  }
}

/** Return in a few words of which kind a finding is, and who found it. */
export function describe(finding: IFinding, trans: TranslationBundle): string {
  return [
    categoryName(finding.category, trans),
    finding.cwe,
    [finding.source, finding.rule].filter(Boolean).join(' ')
  ]
    .filter(Boolean)
    .join(' · ');
}
