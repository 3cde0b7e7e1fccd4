"""What each error is called in HTTP. The only place that knows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from jupyter_collab_ai import errors as e

#: RFC 9110 status of each reason.
STATUS: dict[str, int] = {
    e.InvalidRequest.reason: 400,
    e.NotAuthenticated.reason: 401,
    e.InvalidCredentials.reason: 401,
    e.TokenExpired.reason: 401,
    e.TokenRevoked.reason: 401,
    e.RoleRequired.reason: 403,
    e.AdminRequired.reason: 403,
    e.RegistrationClosed.reason: 403,
    e.ConfirmationRequired.reason: 403,
    e.NotFound.reason: 404,
    e.UsernameTaken.reason: 409,
    e.PathExists.reason: 409,
    e.PathShared.reason: 409,
    e.OperationCancelled.reason: 409,
    e.LastOwner.reason: 409,
    e.AlreadyMember.reason: 409,
    e.StaleDocument.reason: 409,
    e.InvitationExpired.reason: 410,
    e.InvitationUsed.reason: 410,
    e.InvitationRevoked.reason: 410,
    e.DocumentTooLarge.reason: 413,
    e.RequestTooLarge.reason: 413,
    e.Locked.reason: 423,
    e.RateLimited.reason: 429,
    e.BudgetExceeded.reason: 429,
    e.ModelFailed.reason: 502,
    e.ModelNotConfigured.reason: 503,
    e.DatabaseUnavailable.reason: 503,
    e.ModelTimeout.reason: 504,
}

#: What is said where a library below us refuses with a bare status.
_BARE: dict[int, tuple[str, str]] = {
    400: (e.InvalidRequest.reason, "The request can't be understood; check its form."),
    401: (e.NotAuthenticated.reason, "Sign in first, or send a valid access token."),
    403: ("forbidden", "This request is not allowed; reload the page and try again."),
    404: (e.NotFound.reason, "There is no such thing, or it is not shared with you."),
    405: ("method_not_allowed", "This method can't be used here; see the API description."),
    413: (e.RequestTooLarge.reason, "The request is too large; send less at a time."),
    415: (e.InvalidRequest.reason, "Send the request as application/json."),
}


_NO_XSRF = (
    "With a cookie this needs an XSRF token: reload the page; in a program, send the value of the "
    "cookie _xsrf in the header X-XSRFToken too."
)
_UNEXPECTED = ("internal_error", "Something went wrong on the server; its log says more.")


def reasons_of_bare_errors() -> frozenset[str]:
    """Return all reasons that :func:`bare_body` may give."""
    return frozenset(reason for reason, _ in (*_BARE.values(), _UNEXPECTED))


def status_of(error: e.CollabError) -> int:
    """Return the HTTP status of ``error``."""
    return STATUS[error.reason]


def headers_of(error: e.CollabError) -> dict[str, str]:
    """Return the headers that go with ``error`` (RFC 6750, section 3; RFC 9110, 10.2.3)."""
    headers: dict[str, str] = {}
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, int(error.retry_after + 0.999)))
    elif status_of(error) == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = "60"
    return headers


def body_of(error: e.CollabError) -> dict[str, Any]:
    """Return the JSON body of ``error``."""
    body: dict[str, Any] = {"message": error.message, "reason": error.reason}
    if error.errors:
        body["errors"] = [{"field": f.field, "message": f.message} for f in error.errors]
    body.update(error.extra)
    return body


def bare_body(status: int, error: BaseException | None = None) -> dict[str, Any]:
    """Return the JSON body for a status that came without one of our errors.

    Args:
        status: The status.
        error: With what it came.
    """
    reason, message = _BARE.get(status, _UNEXPECTED)
    # Tornado tells its own refusals apart by what it writes to the log alone.
    if status == HTTPStatus.FORBIDDEN and "xsrf" in str(error).lower():
        message = _NO_XSRF
    return {"message": message, "reason": reason}
