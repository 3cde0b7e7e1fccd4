"""Invitations: by name at once, by link for whoever has it, until they are over."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    AlreadyMember,
    InvalidRequest,
    InvitationExpired,
    InvitationRevoked,
    InvitationUsed,
    NotFound,
)
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.storage.tables import invitations, metadata


@pytest.fixture
async def session(house, ada):
    return await house.share(ada)


@pytest.fixture
def link(house, ada, session):
    async def link(role=Role.VIEWER, **more):
        invited = await house.invitations.invite(ada, session["id"], role, **more)
        return invited.secret

    return link


async def let_expire(house):
    past = utcnow() - timedelta(seconds=1)
    await house.database.write(lambda tx: tx.execute(update(invitations).values(expires_at=past)))


async def test_an_account_is_a_member_at_once(house, ada, ben, session):
    invited = await house.invitations.invite(ada, session["id"], Role.EDITOR, username="BEN")
    assert invited.secret is None
    assert await house.roles(session) == {"ada": "owner", "ben": "editor"}
    value = invited.invitation.as_json()
    assert (value["username"], value["uses"], value["max_uses"]) == ("ben", 1, 1)
    assert await house.invitations.open(ada, session["id"]) == []
    assert (await house.audit(session))[1:] == [("ada", "member_added", "ben")]
    for role in Role:
        with pytest.raises(AlreadyMember):
            await house.invitations.invite(ada, session["id"], role, username="ben")
    assert await house.roles(session) == {"ada": "owner", "ben": "editor"}


async def test_a_link_is_told_once_and_kept_as_a_hash(house, ada, ben, session):
    invited = await house.invitations.invite(
        ada, session["id"], Role.EDITOR, email="ben@example.org", expires_in=600
    )
    assert len(invited.secret) >= 43  # 256 bits
    assert invited.secret not in repr(invited)
    (listed,) = await house.invitations.open(ada, session["id"])
    assert listed == invited.invitation.as_json()
    assert listed.keys() == {
        "id",
        "role",
        "email",
        "created_at",
        "expires_at",
        "uses",
        "max_uses",
    }
    assert (listed["uses"], listed["max_uses"]) == (0, 1)
    lifetime = invited.invitation.expires_at - invited.invitation.created_at
    assert abs(lifetime - timedelta(seconds=600)) < timedelta(seconds=5)

    def everything(tx):
        return [tx.execute(select(table)).all() for table in metadata.sorted_tables]

    assert invited.secret not in repr(await house.database.read(everything))


async def test_a_link_makes_a_member(house, ada, ben, session, link):
    secret = await link(Role.EDITOR)
    assert await house.invitations.check(secret) == {
        "session_name": "notes.py",
        "path": "users/ada/notes.py",
        "role": "editor",
        "invited_by": "Ada",
        "username": None,
    }
    joined = await house.invitations.accept(ben, secret)
    assert (joined["id"], joined["role"], joined["member_count"]) == (session["id"], "editor", 2)
    assert (await house.audit(session))[-1] == ("ben", "invitation_accepted", "ben")


async def test_accepting_never_lowers_a_role_and_counts_only_what_it_gives(
    house, ada, ben, session, link
):
    secret = await link(Role.EDITOR, max_uses=5)
    for _ in range(3):
        assert (await house.invitations.accept(ben, secret))["role"] == "editor"
    assert (await house.invitations.accept(ada, secret))["role"] == "owner"
    assert (await house.invitations.accept(ben, await link(Role.VIEWER)))["role"] == "editor"
    uses = [item["uses"] for item in await house.invitations.open(ada, session["id"])]
    assert uses == [0, 1]
    assert (await house.invitations.accept(ben, await link(Role.OWNER)))["role"] == "owner"


async def test_a_link_ends(house, ada, ben, cleo, session, link):
    used = await link()
    await house.invitations.accept(ben, used)
    revoked = await link()
    ((id_),) = [item["id"] for item in await house.invitations.open(ada, session["id"])]
    await house.invitations.revoke(ada, session["id"], id_)
    for secret, error in ((used, InvitationUsed), (revoked, InvitationRevoked)):
        with pytest.raises(error):
            await house.invitations.accept(cleo, secret)
        with pytest.raises(error):
            await house.invitations.check(secret)
    expired = await link()
    await let_expire(house)
    with pytest.raises(InvitationExpired):
        await house.invitations.accept(cleo, expired)
    with pytest.raises(InvitationExpired):
        await house.invitations.check(expired)
    assert await house.invitations.open(ada, session["id"]) == []
    assert "cleo" not in await house.roles(session)
    # who has come in by it stays
    assert (await house.roles(session))["ben"] == "viewer"


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "é", "a\0b"])
async def test_a_secret_that_is_none_opens_nothing(house, ben, session, link, secret):
    await link()
    with pytest.raises(NotFound):
        await house.invitations.accept(ben, secret)
    with pytest.raises(NotFound):
        await house.invitations.check(secret)


async def test_an_invitation_is_revoked_once_and_in_its_own_session(house, ada, session, link):
    await link()
    other = await house.share(ada, "other")
    (item,) = await house.invitations.open(ada, session["id"])
    for session_id, id_ in (
        (other["id"], item["id"]),
        (session["id"], "none"),
        (session["id"], "\0"),
    ):
        with pytest.raises(NotFound):
            await house.invitations.revoke(ada, session_id, id_)
    await house.invitations.revoke(ada, session["id"], item["id"])
    with pytest.raises(NotFound):
        await house.invitations.revoke(ada, session["id"], item["id"])


async def test_a_link_for_a_name_is_for_that_name_alone(house, ada, ben, session):
    with pytest.raises(InvalidRequest) as caught:
        await house.invitations.invite(ada, session["id"], Role.EDITOR, username="Cleo", max_uses=9)
    assert caught.value.errors[0].field == "max_uses"
    invited = await house.invitations.invite(ada, session["id"], Role.EDITOR, username="Cleo")
    assert invited.secret is not None
    value = invited.invitation.as_json()
    assert (value["username"], value["max_uses"]) == ("cleo", 1)
    assert (await house.invitations.check(invited.secret))["username"] == "cleo"
    for act in (
        lambda: house.invitations.accept(ben, invited.secret),
        lambda: house.invitations.check(invited.secret, username="ben"),
    ):
        with pytest.raises(NotFound) as caught:
            await act()
        assert "cleo" not in caught.value.message
    cleo = await house.person("cleo")
    await house.invitations.check(invited.secret, username="cleo")
    assert (await house.invitations.accept(cleo, invited.secret))["role"] == "editor"


@pytest.mark.parametrize("username", ["", "a", "no such", "ben@example.org", ".x", "b\0n", "ß!"])
async def test_a_name_that_can_be_nobodys_is_refused(house, ada, session, username):
    with pytest.raises(InvalidRequest) as caught:
        await house.invitations.invite(ada, session["id"], Role.EDITOR, username=username)
    assert caught.value.errors[0].field == "username"


async def test_a_deactivated_account_is_not_invited(house, ada, ben, session):
    await house.deactivate(ben)
    with pytest.raises(NotFound):
        await house.invitations.invite(ada, session["id"], Role.EDITOR, username="ben")
    assert await house.invitations.open(ada, session["id"]) == []


@pytest.mark.parametrize("max_uses", [1, 3])
async def test_of_many_at_once_no_more_come_in_than_may(house, ada, session, link, max_uses):
    people = [await house.person(f"guest{number}") for number in range(10)]
    secret = await link(max_uses=max_uses)
    joined = await asyncio.gather(
        *(house.invitations.accept(person, secret) for person in people), return_exceptions=True
    )
    won = [each for each in joined if isinstance(each, dict)]
    assert len(won) == max_uses
    assert all(isinstance(each, dict | InvitationUsed) for each in joined)
    assert len(await house.roles(session)) == 1 + max_uses


async def test_the_last_use_is_counted_once_even_without_a_lock(house, ada, session, link):
    await link(max_uses=1)
    (item,) = await house.invitations.open(ada, session["id"])

    def use(tx):
        return [store.use_invitation(tx, item["id"]) for _ in range(2)]

    assert await house.database.write(use) == [True, False]


async def test_one_person_who_clicks_often_uses_it_once(house, ada, ben, session, link):
    secret = await link(max_uses=2)
    joined = await asyncio.gather(*(house.invitations.accept(ben, secret) for _ in range(5)))
    assert {each["role"] for each in joined} == {"viewer"}
    (item,) = await house.invitations.open(ada, session["id"])
    assert item["uses"] == 1


async def test_a_link_ends_with_its_session(house, ada, ben, session, link):
    secret = await link()
    await house.sessions.delete(ada, session["id"])
    with pytest.raises(NotFound):
        await house.invitations.accept(ben, secret)
    with pytest.raises(NotFound):
        await house.invitations.check(secret)


async def test_an_invitation_outlives_whoever_made_it(house, ada, ben, cleo, session):
    await house.add(session, ben, Role.OWNER)
    invited = await house.invitations.invite(ben, session["id"], Role.VIEWER)
    await house.members.remove(ada, session["id"], "ben")
    assert (await house.invitations.check(invited.secret))["invited_by"] == "Ben"
    assert (await house.invitations.accept(cleo, invited.secret))["role"] == "viewer"
