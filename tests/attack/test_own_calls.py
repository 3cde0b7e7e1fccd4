"""Everybody × this package's own calls, really made: here the services decide, behind the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from jupyter_collab_ai.sessions.roles import Capability, may
from tests.attack.conftest import EVERYBODY, FILE, NOBODIES, Live
from tests.attack.routes import ROLES

#: What a call needs: a capability in the session, ``admin``, ``account`` or ``anybody``.
Need = Capability | str
#: Done, or as good as: the call went past every question of rights.
DONE = (200, 201, 204)

#: Method, path (with the session's id), body, what it needs, and what it answers where it may.
CALLS: list[tuple[str, str, dict[str, Any] | None, Need, tuple[int, ...]]] = [
    ("GET", "health", None, "anybody", DONE),
    ("GET", "openapi.json", None, "anybody", DONE),
    ("GET", "me", None, "account", DONE),
    ("PATCH", "me", {"color": "#123456"}, "account", DONE),
    ("GET", "me/logins", None, "account", DONE),
    ("DELETE", "me/logins/none", None, "account", (404,)),
    ("GET", "users", None, "admin", DONE),
    ("GET", "users/viewer", None, "admin", DONE),
    ("PATCH", "users/viewer", {"is_active": True}, "admin", DONE),
    ("DELETE", "users/none", None, "admin", (404,)),
    ("GET", "sessions", None, "account", DONE),
    ("GET", "sessions?all=true", None, "admin", DONE),
    ("GET", "sessions/{id}", None, Capability.SEE, DONE),
    ("PUT", "sessions/{id}", {"name": "project"}, Capability.MANAGE, DONE),
    ("GET", "sessions/{id}/members", None, Capability.SEE, DONE),
    ("DELETE", "sessions/{id}/members/none", None, Capability.MANAGE, (404,)),
    (
        "PUT",
        "sessions/access",
        {"session_id": "{id}", "username": "viewer", "role": "viewer"},
        Capability.MANAGE,
        DONE,
    ),
    ("POST", "sessions/invite", {"session_id": "{id}", "role": "viewer"}, Capability.MANAGE, DONE),
    ("GET", "sessions/{id}/invitations", None, Capability.MANAGE, DONE),
    ("DELETE", "sessions/{id}/invitations/none", None, Capability.MANAGE, (404,)),
    ("GET", "sessions/{id}/activity", None, Capability.MANAGE, DONE),
    ("GET", "sessions/{id}/findings?path=main.py", None, Capability.READ, DONE),
    ("GET", "sessions/{id}/locks", None, Capability.READ, DONE),
    # Every member sees which locks there are; whose it is decides who may break one.
    ("DELETE", "sessions/{id}/locks/none", None, Capability.READ, (404,)),
    (
        "POST",
        "ai/code-debugger",
        {"session_id": "{id}", "path": "main.py"},
        Capability.DEBUG,
        DONE,
    ),
    (
        "POST",
        "ai/code-generator",
        {"session_id": "{id}", "path": "main.py", "instructions": "add a line"},
        Capability.GENERATE,
        (503,),  # no model is configured
    ),
    ("GET", "ai/operations?session_id={id}", None, Capability.SEE, (200,)),
    ("GET", "ai/operations/none", None, "account", (404,)),
    ("GET", "ai/models", None, "account", DONE),
    ("GET", "ai/usage", None, "account", DONE),
    ("POST", "invitations/accept", {"invitation": "none"}, "account", (404, 410)),
    ("DELETE", "sessions/none", None, "account", (404,)),
    # Last, as it ends the session.
    ("DELETE", "sessions/{id}", None, Capability.MANAGE, DONE),
]


def expected(who: str, need: Need, allowed: tuple[int, ...]) -> tuple[int, ...]:
    if need == "anybody":
        return allowed
    if who in NOBODIES:
        return (401,)
    if need == "account" or who == "admin":
        return allowed
    if need == "admin":
        return (403,)
    assert isinstance(need, Capability)
    role = ROLES[FILE].get(who)
    if may(role, need):
        return allowed
    return (403,) if may(role, Capability.SEE) else (404,)


def filled(value: Any, session: str) -> Any:
    if isinstance(value, dict):
        return {name: filled(each, session) for name, each in value.items()}
    return value.replace("{id}", session) if isinstance(value, str) else value


async def test_every_call_of_ours_for_everybody(
    live: Live, database_backend: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    verdicts: Counter[int] = Counter()
    wrong = []
    # Whoever may do what can be done once only comes last.
    least_first = sorted(EVERYBODY, key=lambda who: (who == "admin", who == "owner"))
    for method, path, body, need, allowed in CALLS:
        for who in least_first:
            once = method == "DELETE" and path == "sessions/{id}"
            wanted = expected(who, need, allowed)
            if once and who == "admin":
                wanted = (404,)  # the owner has ended it
            answer = await live.own(
                who, method, filled(path, live.session), filled(body, live.session)
            )
            verdicts[answer.status] += 1
            if answer.status not in wanted:
                wrong.append(f"{who}: {method} {path}: {answer.status}, not {wanted}")
            if answer.status >= 400:
                assert answer.json["message"], (who, method, path)
                assert answer.json["reason"], (who, method, path)
    assert wrong == [], "; ".join(wrong)
    told = ", ".join(f"{status}: {count}" for status, count in sorted(verdicts.items()))
    print(f"\nour own calls on {database_backend}: {verdicts.total()} cells ({told})")
    record_testsuite_property(
        f"matrix of our own calls on {database_backend}", f"{verdicts.total()} cells: {told}"
    )
