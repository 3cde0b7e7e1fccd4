"""What can go wrong, as types.

Each class carries ``reason``, the fixed word by which clients tell it from others. The
message is one sentence that a person can act on. Which HTTP status or WebSocket close code
a reason becomes is decided in :mod:`jupyter_collab_ai.web.errors` and
:mod:`jupyter_collab_ai.rooms.close_codes`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one member of a request body or one query parameter."""

    field: str
    message: str


class CollabError(Exception):
    """Base of all errors that the outside world is told about."""

    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what a client is told.

        Args:
            message: One sentence that a person can act on.
            errors: What is wrong with which member, for ``invalid_request``.
            retry_after: Seconds after which trying again makes sense.
            extra: Further members of the error body, such as ``lock``.
        """
        super().__init__(message)
        self.message = message
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class InvalidRequest(CollabError):
    reason = "invalid_request"


def check_all(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns, or tell all that they find at once.

    Raises:
        InvalidRequest: At least one refused; its fields are those of all that did.
    """
    results: list[Any] = []
    refused: list[InvalidRequest] = []
    for check in checks:
        try:
            results.append(check())
        except InvalidRequest as error:
            refused.append(error)
    if refused:
        errors = [field for error in refused for field in error.errors]
        raise InvalidRequest(refused[0].message, errors=errors)
    return results


class NotAuthenticated(CollabError):
    reason = "not_authenticated"


class InvalidCredentials(CollabError):
    reason = "invalid_credentials"


class TokenExpired(CollabError):
    reason = "token_expired"


class TokenRevoked(CollabError):
    reason = "token_revoked"


class RoleRequired(CollabError):
    reason = "role_required"


class AdminRequired(CollabError):
    reason = "admin_required"


class RegistrationClosed(CollabError):
    reason = "registration_closed"


class ConfirmationRequired(CollabError):
    reason = "confirmation_required"


class NotFound(CollabError):
    reason = "not_found"


class UsernameTaken(CollabError):
    reason = "username_taken"


class PathExists(CollabError):
    reason = "path_exists"


class PathShared(CollabError):
    reason = "path_shared"


class OperationCancelled(CollabError):
    reason = "operation_cancelled"


class LastOwner(CollabError):
    reason = "last_owner"


class AlreadyMember(CollabError):
    reason = "already_member"


class StaleDocument(CollabError):
    reason = "stale_document"


class InvitationExpired(CollabError):
    reason = "invitation_expired"


class InvitationUsed(CollabError):
    reason = "invitation_used"


class InvitationRevoked(CollabError):
    reason = "invitation_revoked"


class DocumentTooLarge(CollabError):
    reason = "document_too_large"


class RequestTooLarge(CollabError):
    reason = "request_too_large"


class Locked(CollabError):
    reason = "locked"


class RateLimited(CollabError):
    reason = "rate_limited"


class BudgetExceeded(CollabError):
    reason = "budget_exceeded"


class ModelFailed(CollabError):
    reason = "model_failed"


class ModelNotConfigured(CollabError):
    reason = "model_not_configured"


class ModelTimeout(CollabError):
    reason = "model_timeout"


class DatabaseUnavailable(CollabError):
    reason = "database_unavailable"
