import type { IGeneration } from '../api/types';

type Check = IGeneration['checks'][number];

/** Nothing was found wrong, as nobody looked; the detail says why. */
export function isUntried(check: Check): boolean {
  return !check.ok && (check.detail ?? '').startsWith('Not tried');
}

/** Return the checks that found something wrong. */
export function failedChecks({ checks }: IGeneration): readonly Check[] {
  return checks.filter(check => !check.ok && !isUntried(check));
}
