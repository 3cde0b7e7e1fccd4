import type { TranslationBundle } from '@jupyterlab/translation';

import type { IVersion, IUser } from '../api/types';

/** Return who made a version, in words. */
export function madeBy(version: IVersion, trans: TranslationBundle): string {
  const names = version.authors.map(nameOf);
  switch (version.origin) {
    case 'load':
      return trans.__('Read from the file');
    case 'disk':
      return trans.__('Changed on disk');
    case 'ai':
      return names.length > 0
        ? trans.__('AI, for %1', names.join(', '))
        : trans.__('AI');
    case 'restore':
      return trans.__('Restored by %1', names.join(', '));
    case 'merge':
      return trans.__('A fork, merged by %1', names.join(', '));
    default:
      return names.length > 0 ? names.join(', ') : trans.__('The server');
  }
}

export function nameOf(user: IUser): string {
  return user.display_name || user.username;
}

/** Return a moment's day as a heading: today, yesterday, or a date. */
export function dayOf(
  time: string,
  now: Date,
  trans: TranslationBundle
): string {
  const day = new Date(time);
  const days = Math.round((midnight(now) - midnight(day)) / 86_400_000);
  if (days === 0) {
    return trans.__('Today');
  }
  if (days === 1) {
    return trans.__('Yesterday');
  }
  return day.toLocaleDateString(undefined, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(day.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' })
  });
}

export function clockOf(time: string): string {
  return new Date(time).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit'
  });
}

function midnight(date: Date): number {
  return new Date(
    date.getFullYear(),
    date.getMonth(),
    date.getDate()
  ).getTime();
}
