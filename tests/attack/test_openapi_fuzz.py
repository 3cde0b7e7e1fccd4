"""Requests made by chance from our OpenAPI file, as each of several people, on a live server.

No answer is an error of the server's own, and none is one that the file does not name, by its
status, its media type and its shape (https://schemathesis.readthedocs.io).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from jupyter_collab_ai.web.openapi import description
from tests.blackbox.client import Api, Person
from tests.support.server import LabServer, ServerFactory

SEED = 20
#: Not requests as others: a stream that does not end, a WebSocket, and pages.
LEFT_OUT = ("/sessions/{session_id}/events", "/ws/{session_id}", "/join", "/confirm", "/account")
#: Would change who one is for all that comes after.
LAST = ("/logout", "/me/password")
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)


def operations() -> list[Any]:
    """Return the operations of the file, those that end something last."""
    schema = schemathesis.openapi.from_dict(description())
    found = [result.ok() for result in schema.get_all_operations()]
    chosen = [each for each in found if not each.path.startswith(LEFT_OUT)]
    return sorted(chosen, key=lambda each: (each.path in LAST, each.method == "delete"))


def make_known(case: Any, session: dict[str, Any], who: Person) -> None:
    """Let a request be about what there is, where by chance it would be about nothing."""
    known = {"session_id": session["id"], "username": who.username, "path": "main.py"}
    for name, value in known.items():
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
        if isinstance(case.body, dict) and name in case.body and name != "username":
            case.body[name] = value


class Fuzz:
    """Makes the requests of one person."""

    def __init__(self, server: LabServer, session: dict[str, Any], each: int) -> None:
        self.server = server
        self.session = session
        self.each = each
        self.statuses: Counter[int] = Counter()

    def run(self, operation: Any, who: Person | None, about: Person) -> None:
        """Make requests of one operation."""
        headers = {} if who is None else {"Authorization": f"{who._scheme} {who.token}"}
        ends = (operation.method, operation.path) == ("delete", "/sessions/{session_id}")

        @seed(SEED)
        @settings(
            max_examples=self.each,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), known=st.booleans())
        def request(case: Any, known: bool) -> None:
            if known and not ends:
                make_known(case, self.session, about)
            answer = case.call(base_url=self.server.api_url.rstrip("/"), headers=headers)
            self.statuses[answer.status_code] += 1
            assert answer.status_code != 500, answer.text
            assert "Traceback" not in answer.text
            case.validate_response(answer, checks=list(CHECKS))

        request()


def fuzz(factory: ServerFactory, each: int, record: Callable[[str, object], None]) -> None:
    server = factory(args=("--ServerApp.log_level=ERROR",))
    api = Api(server)
    ada, vic = api.register("ada"), api.register("vic")
    session: dict[str, Any] = ada("POST", "sessions", body={"name": "p", "type": "directory"}).ok(
        201
    )
    (server.root / session["path"] / "main.py").write_text("x = 1\n")
    ada.add(session, vic, "viewer")
    for name, who in {"anonymous": None, "viewer": vic, "owner": ada, "admin": api.admin()}.items():
        made = Fuzz(server, session, each)
        for operation in operations():
            made.run(operation, who, vic)
        told = ", ".join(f"{status}: {count}" for status, count in sorted(made.statuses.items()))
        print(f"\n{name}: {made.statuses.total()} requests ({told})")
        record(f"requests from the OpenAPI file as {name}", told)
        assert 500 not in made.statuses
    assert "Traceback" not in server.log, server.log[-4000:]


@pytest.mark.timeout(400)
def test_requests_by_chance(
    collab_server: ServerFactory, record_testsuite_property: Callable[[str, object], None]
) -> None:
    fuzz(collab_server, 1, record_testsuite_property)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_requests_by_chance(
    collab_server: ServerFactory, record_testsuite_property: Callable[[str, object], None]
) -> None:
    fuzz(collab_server, 50, record_testsuite_property)
