"""The contract's table "What a role may do", cell by cell."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.errors import NotFound, RoleRequired
from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.sessions.roles import NOBODY, Capability, Policy, Role, Standing, may

#: As it stands in the contract: owner, editor, viewer, not a member.
CONTRACT = {
    Capability.SEE: (True, True, True, False),
    Capability.READ: (True, True, True, False),
    Capability.WRITE: (True, True, False, False),
    Capability.DEBUG: (True, True, False, False),
    Capability.GENERATE: (True, True, False, False),
    Capability.CANCEL_OWN: (True, True, False, False),
    Capability.CANCEL_ANY: (True, False, False, False),
    Capability.MANAGE: (True, False, False, False),
    Capability.EXECUTE: (False, False, False, False),
}
COLUMNS = (Role.OWNER, Role.EDITOR, Role.VIEWER, None)

roles = st.sampled_from(Role)
capabilities = st.sampled_from(Capability)
some_roles = st.lists(roles, unique=True).map(tuple)


def test_no_capability_is_without_a_row():
    assert set(CONTRACT) == set(Capability)


@pytest.mark.parametrize(
    ("role", "capability", "expected"),
    [
        (role, capability, expected)
        for capability, row in CONTRACT.items()
        for role, expected in zip(COLUMNS, row, strict=True)
    ],
)
def test_the_table(role, capability, expected):
    assert may(role, capability) is expected
    assert Standing(role).may(capability) is expected


def test_a_higher_role_may_all_that_a_lower_one_may():
    for low, high in itertools.combinations(sorted(Role, key=lambda role: role.rank), 2):
        for capability in Capability:
            assert may(high, capability) or not may(low, capability)


@given(some_roles, some_roles, roles, capabilities)
def test_the_traits_change_their_own_row_alone(debuggers, executors, role, capability):
    policy = Policy.of(debugger_roles=debuggers, execution_roles=executors)
    expected = {
        Capability.DEBUG: role in debuggers,
        Capability.EXECUTE: role in executors,
    }.get(capability, may(role, capability))
    assert policy.may(role, capability) is expected
    assert policy.may(None, capability) is False


@given(st.none() | roles, some_roles, some_roles, capabilities)
def test_whatever_is_refused_is_refused_in_the_right_words(role, debuggers, executors, capability):
    policy = Policy.of(debugger_roles=debuggers, execution_roles=executors)
    standing = Standing(role, SessionId("s"), policy=policy)
    if standing.may(capability):
        standing.require(capability)
    elif role is None:
        with pytest.raises(NotFound):
            standing.require(capability)
    else:
        with pytest.raises(RoleRequired) as caught:
            standing.require(capability)
        able = [each for each in Role if policy.may(each, capability)]
        if able:
            assert any(each.value in caught.value.message for each in able)
        else:
            assert "admin" in caught.value.message


@given(st.none() | roles, capabilities)
def test_an_admin_may_everything(role, capability):
    standing = Standing(role, as_admin=True)
    assert standing.may(capability)
    standing.require(capability)


@pytest.mark.parametrize("capability", Capability)
def test_nobody_is_told_nothing(capability):
    with pytest.raises(NotFound):
        NOBODY.require(capability)


def test_the_message_names_the_lowest_role_that_may():
    with pytest.raises(RoleRequired, match=r"needs the role editor; .* make you an editor"):
        Standing(Role.VIEWER).require(Capability.WRITE)
    with pytest.raises(RoleRequired, match="needs the role owner"):
        Standing(Role.EDITOR).require(Capability.MANAGE)
