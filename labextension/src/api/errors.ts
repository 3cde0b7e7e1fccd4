import type { IConfirmation, IErrorBody, IFieldError } from './types';

/**
 * The server refused a call; the message is one that a person can act on.
 */
export class ApiError extends Error {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    body: IErrorBody
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
   * A 403 of this package names its reason and means a known user with too few rights; one
   * without a reason is Jupyter's way to say that it knows nobody.
   */
  get loginEnded(): boolean {
    return this.status === 401 || (this.status === 403 && this.reason === null);
  }
}

/**
 * Make an error of an answer, whatever its body is.
 */
export function toApiError(
  status: number,
  statusText: string,
  text: string
): ApiError {
  return new ApiError(
    status,
    parseBody(text) ?? {
      message: statusText || `The server answered ${status}.`
    }
  );
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
