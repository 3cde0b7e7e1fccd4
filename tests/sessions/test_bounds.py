"""Nobody fills the database: each refusal is a sentence that says what to do."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import InvalidRequest, InvitationRevoked, NotFound
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.bounds import DEFAULT_BOUNDS, Bounds
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.storage.tables import invitations


def tighten(house, **bounds: int) -> None:
    house.sessions.bounds = Bounds(**bounds)


async def link(house, ada, session, **more):
    made = await house.invitations.invite(ada, session["id"], Role.VIEWER, **more)
    assert made.secret is not None
    return made


async def test_sessions_of_an_account(house, ada, ben):
    tighten(house, sessions=2)
    shared = [await house.share(ada, f"{number}.py") for number in range(2)]
    with pytest.raises(InvalidRequest, match=r"You own 2 sessions.* end one"):
        await house.share(ada, "more.py")
    # Nothing was made, somebody else may, and so may she when she has ended one.
    assert await house.contents.kind("users/ada/more.py") is None
    await house.share(ben)
    await house.add(shared[0], ben, Role.VIEWER)
    await house.sessions.delete(ada, shared[0]["id"])
    await house.share(ada, "more.py")


async def test_at_once_no_more_than_one_after_the_other(house, ada):
    tighten(house, sessions=3)
    results = await asyncio.gather(
        *(house.share(ada, f"{number}.py") for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, InvalidRequest) for result in results) == 5


async def test_members_of_a_session(house, ada, ben, cleo):
    session = await house.share(ada)
    invitation = await link(house, ada, session, max_uses=9)
    tighten(house, members=2)
    await house.invitations.accept(ben, invitation.secret)
    with pytest.raises(InvalidRequest, match=r"The session has 2 members.* remove one"):
        await house.invitations.accept(cleo, invitation.secret)
    with pytest.raises(InvalidRequest, match="2 members"):
        await house.invitations.invite(ada, session["id"], Role.EDITOR, username="cleo")
    assert await house.roles(session) == {"ada": "owner", "ben": "viewer"}
    # No use was counted; who is in may still be raised, and one who goes makes room.
    better = await house.invitations.invite(ada, session["id"], Role.EDITOR)
    await house.invitations.accept(ben, better.secret)
    await house.members.remove(ada, session["id"], "ben")
    await house.invitations.accept(cleo, invitation.secret)
    assert await house.roles(session) == {"ada": "owner", "cleo": "viewer"}


async def test_invitations_of_a_session(house, ada, ben):
    session, other = await house.share(ada), await house.share(ada, "other.py")
    tighten(house, invitations=2)
    made = [await link(house, ada, session) for _ in range(2)]
    with pytest.raises(InvalidRequest, match=r"has 2 open invitations.* revoke one"):
        await link(house, ada, session)
    await link(house, ada, other)
    # Somebody with an account needs no link that waits.
    await house.invitations.invite(ada, session["id"], Role.EDITOR, username="ben")
    await house.invitations.revoke(ada, session["id"], made[0].invitation.id)
    await link(house, ada, session)


async def test_invitations_that_are_over_are_swept_after_a_while(house, ada, ben):
    session = await house.share(ada)
    made = await link(house, ada, session)
    await house.invitations.revoke(ada, session["id"], made.invitation.id)
    await link(house, ada, session)
    with pytest.raises(InvitationRevoked):
        await house.invitations.accept(ben, made.secret)
    long_ago = utcnow() - store.KEEP_INVITATIONS - timedelta(hours=1)
    await house.database.write(
        lambda tx: tx.execute(
            update(invitations)
            .where(invitations.c.id == made.invitation.id)
            .values(revoked_at=long_ago)
        )
    )
    await link(house, ada, session)
    count = select(func.count()).select_from(invitations)
    assert await house.database.read(lambda tx: tx.execute(count).scalar_one()) == 2
    with pytest.raises(NotFound):
        await house.invitations.accept(ben, made.secret)


def test_the_bounds_never_bite_below_what_is_promised():
    """Ten seconds of 50 calls a second."""
    assert min(DEFAULT_BOUNDS.sessions, DEFAULT_BOUNDS.members, DEFAULT_BOUNDS.invitations) >= 500


def test_the_page_of_settings_says_what_they_are():
    from pathlib import Path

    from jupyter_collab_ai.app import CollabAI

    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for name in ("max_sessions", "max_members", "max_invitations", "audit_days"):
        (said,) = re.findall(rf"^\| `CollabAI\.{name}` \|.*\| ([\d,]+) \|$", text, re.M)
        assert int(said.replace(",", "")) == CollabAI.class_traits()[name].default_value
