"""Every error of the package has one status, one shape and a sentence."""

from __future__ import annotations

import inspect

import pytest

from jupyter_collab_ai import errors
from jupyter_collab_ai.errors import CollabError, FieldError, InvalidRequest, Locked, RateLimited
from jupyter_collab_ai.web.errors import STATUS, bare_body, body_of, headers_of, status_of

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, CollabError) and kind is not CollabError
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status(kind):
    assert 400 <= status_of(kind("It went wrong.")) < 600


def test_no_two_errors_share_a_reason():
    assert len({kind.reason for kind in KINDS}) == len(KINDS) == len(STATUS)


def test_the_shape():
    error = InvalidRequest("Look again.", errors=[FieldError("name", "This is needed.")])
    assert body_of(error) == {
        "message": "Look again.",
        "reason": "invalid_request",
        "errors": [{"field": "name", "message": "This is needed."}],
    }
    assert body_of(Locked("Wait.", extra={"lock": {"id": "x"}}))["lock"] == {"id": "x"}


def test_headers():
    assert headers_of(errors.TokenExpired("Again.")) == {"WWW-Authenticate": "Bearer"}
    assert headers_of(RateLimited("Later.", retry_after=1.2)) == {"Retry-After": "2"}
    assert headers_of(RateLimited("Later.")) == {"Retry-After": "60"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 418, 500, 503])
def test_a_bare_status_gets_words_too(status):
    body = bare_body(status)
    assert body["message"].endswith(".")
    assert set(body) == {"message", "reason"}
