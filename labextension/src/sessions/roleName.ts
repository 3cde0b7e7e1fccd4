import type { TranslationBundle } from '@jupyterlab/translation';

import type { Role } from '../api/types';

/** Return how several people of a role are called. */
export function roleNames(role: Role, trans: TranslationBundle): string {
  switch (role) {
    case 'owner':
      return trans.__('owners');
    case 'editor':
      return trans.__('editors');
    case 'viewer':
      return trans.__('viewers');
  }
}

/** Return how a role is called; null is an admin, who is no member. */
export function roleName(role: Role | null, trans: TranslationBundle): string {
  switch (role) {
    case 'owner':
      return trans.__('owner');
    case 'editor':
      return trans.__('editor');
    case 'viewer':
      return trans.__('viewer');
    case null:
      return trans.__('administrator');
  }
}
