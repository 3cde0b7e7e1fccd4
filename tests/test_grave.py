"""What is grave, and what is not."""

from __future__ import annotations

import json
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.grave import About, Action, Kind, is_grave, needs_confirmation
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.web.confirming import same_request

WORDS = st.none() | st.text(max_size=20)
ACTIONS = st.builds(
    Action,
    st.sampled_from(Kind),
    about=st.builds(About, WORDS, WORDS, WORDS, WORDS, WORDS),
    role=st.none() | st.sampled_from([role.value for role in Role]),
    is_admin=st.none() | st.booleans(),
    is_active=st.none() | st.booleans(),
    delete_files=st.booleans(),
    max_uses=st.none() | st.integers(1, 1000),
)


def test_these_actions_are_grave_and_no_others() -> None:
    grave = {
        (kind, role, is_admin, is_active)
        for kind, role, is_admin, is_active in product(
            Kind, (None, *Role), (None, True, False), (None, True, False)
        )
        if is_grave(
            Action(
                kind,
                role=None if role is None else role.value,
                is_admin=is_admin,
                is_active=is_active,
            )
        )
    }
    always = {Kind.CHANGE_PASSWORD, Kind.DELETE_ACCOUNT, Kind.DELETE_SESSION}
    for kind, role, is_admin, is_active in product(
        Kind, (None, *Role), (None, True, False), (None, True, False)
    ):
        expected = (
            kind in always
            or (kind is Kind.CHANGE_ACCOUNT and (is_admin, is_active) != (None, None))
            or (kind in (Kind.CHANGE_ROLE, Kind.INVITE) and role is Role.OWNER)
        )
        assert ((kind, role, is_admin, is_active) in grave) == expected


@given(ACTIONS)
def test_only_cookies_are_asked(action: Action) -> None:
    assert needs_confirmation(Credential.COOKIE, action) == is_grave(action)
    assert not needs_confirmation(Credential.BEARER, action)
    assert not needs_confirmation(Credential.TOKEN, action)


@given(ACTIONS)
def test_an_action_is_the_same_after_it_was_stored(action: Action) -> None:
    assert Action.from_json(json.loads(json.dumps(action.as_json()))) == action


REQUESTS = st.tuples(
    st.sampled_from(["PUT", "POST", "DELETE"]),
    st.text("ab/?&=", max_size=6),
    st.dictionaries(
        st.text("ab1&=", min_size=1, max_size=3),
        st.lists(st.binary(max_size=2), min_size=1, max_size=2),
        max_size=2,
    ),
    st.binary(max_size=4),
)


def without_times(query: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    return {k: v for k, v in query.items() if not (k.isdigit() and v == [b""])}


@given(REQUESTS, REQUESTS)
def test_two_requests_are_the_same_only_if_they_ask_for_the_same(one, other) -> None:
    same = (one[0], one[1], without_times(one[2]), one[3]) == (
        other[0],
        other[1],
        without_times(other[2]),
        other[3],
    )
    assert (same_request(*one) == same_request(*other)) == same


def test_what_keeps_caches_away_does_not_count() -> None:
    plain = same_request("DELETE", "/a", {}, b"")
    assert same_request("DELETE", "/a", {"1700000000000": [b""]}, b"") == plain
    assert same_request("DELETE", "/a", {"1700000000000": [b"x"]}, b"") != plain
    assert same_request("DELETE", "/a", {"delete_files": [b"true"]}, b"") != plain
