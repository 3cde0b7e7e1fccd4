import { ServerConnection } from '@jupyterlab/services';
import {
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import type { IConfirmation, IErrorBody, IFieldError } from './types';

/**
 * The server refused a call; the message is one that a person can act on.
 */
export class ApiError extends Error {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    body: IErrorBody,
    /** Milliseconds after which the server wants to be asked again; null where it says none. */
    readonly retryAfter: number | null = null
  ) {
    super(body.message);
    this.name = 'ApiError';
    this.reason = body.reason ?? null;
    this.errors = body.errors ?? [];
    this.confirmation = body.confirmation ?? null;
  }

  /** The fixed word for what went wrong; null where another part of the server answered. */
  readonly reason: string | null;
  readonly errors: readonly IFieldError[];

  /**
   * Where the person confirms what they have asked for; the same call then does it. Null where
   * that is not what is missing.
   */
  readonly confirmation: IConfirmation | null;

  /**
   * Whether the caller is no longer signed in.
   *
   * A 403 does not say so: of this package it means a known user with too few rights, and
   * without a reason it is a proxy's.
   */
  get loginEnded(): boolean {
    return this.status === 401;
  }

  /**
   * Whether the same call would be refused again.
   *
   * Only this package's own words say so: a proxy answers 404 or 403, too, while the server
   * behind it starts anew.
   */
  get isFinal(): boolean {
    return (
      this.reason !== null && this.status < 500 && !PASSING.has(this.status)
    );
  }
}

/** Statuses below 500 that say "not now": timeout, locked, too early, too many. */
const PASSING: ReadonlySet<number> = new Set([408, 423, 425, 429]);
/** Milliseconds after which is asked again at the latest, whatever the server says. */
const LONGEST_WAIT = 60_000;

/**
 * Return what to tell a person of whatever was thrown by a call: one sentence on which they can
 * act.
 */
export function sentenceOf(error: unknown, trans: TranslationBundle): string {
  if (error instanceof ServerConnection.NetworkError) {
    return trans.__(
      'The server can’t be reached; try again when you are online.'
    );
  }
  if (error instanceof ApiError) {
    // Only our part of the server names a reason, and speaks to people.
    return error.reason === null
      ? sentenceForStatus(error.status, trans)
      : error.message;
  }
  console.error(error);
  return trans.__(
    'Something went wrong in this page; reload it and try again.'
  );
}

function sentenceForStatus(status: number, trans: TranslationBundle): string {
  switch (status) {
    case 401:
      return trans.__('You are no longer signed in; sign in again.');
    case 403:
      return trans.__(
        'Something between you and the server does not allow this; reload the page and try again.'
      );
    case 404:
      return trans.__(
        'The server doesn’t know this; reload the page and try again.'
      );
    case 413:
      return trans.__(
        'This is more than the server takes at once; try it with less.'
      );
    case 429:
      return trans.__(
        'The server is asked too much at once; try again in a minute.'
      );
    case 502:
    case 503:
    case 504:
      return trans.__(
        'The server does not answer at the moment; try again in a minute.'
      );
    default:
      return status >= 500
        ? trans.__(
            'The server has failed; try again, and tell its administrator if it goes on.'
          )
        : trans.__(
            'The server has refused this; reload the page and try again.'
          );
  }
}

/**
 * Make an error of an answer, whatever its body is.
 */
export function toApiError(
  status: number,
  text: string,
  retryAfter: string | null = null
): ApiError {
  return new ApiError(
    status,
    parseBody(text) ?? {
      message: sentenceForStatus(status, nullTranslator.load(''))
    },
    parseWait(retryAfter)
  );
}

/** Return the milliseconds of a `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. */
function parseWait(value: string | null): number | null {
  if (!value?.trim()) {
    return null;
  }
  const seconds = Number(value);
  const wait = Number.isFinite(seconds)
    ? seconds * 1000
    : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.min(wait, LONGEST_WAIT) : null;
}

function parseBody(text: string): IErrorBody | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (
    typeof body !== 'object' ||
    body === null ||
    !('message' in body) ||
    typeof body.message !== 'string' ||
    !body.message
  ) {
    return null;
  }
  const { message } = body;
  const reason =
    'reason' in body && typeof body.reason === 'string' && body.reason
      ? { reason: body.reason }
      : {};
  const errors =
    'errors' in body && Array.isArray(body.errors)
      ? { errors: body.errors as IFieldError[] }
      : {};
  const confirmation =
    'confirmation' in body && isConfirmation(body.confirmation)
      ? { confirmation: body.confirmation }
      : {};
  return { message, ...reason, ...errors, ...confirmation };
}

function isConfirmation(value: unknown): value is IConfirmation {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'string' &&
    'url' in value &&
    typeof value.url === 'string'
  );
}
