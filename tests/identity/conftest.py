"""An identity service on a real database, with cheap hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from argon2 import PasswordHasher

from jupyter_collab_ai.errors import InvitationUsed, NotFound
from jupyter_collab_ai.identity import keys
from jupyter_collab_ai.identity.passwords import Hasher
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.identity.starter import ensure_starter
from jupyter_collab_ai.identity.tokens import Tokens
from jupyter_collab_ai.web.limits import RateLimiter

SECRET = "only for these tests, and long enough for them"


@dataclass
class Others:
    """The other rooms, as far as identity asks them."""

    homes: list[str] = field(default_factory=list)
    #: Names of those whose folder holds something.
    full: set[str] = field(default_factory=set)
    swept: int = 0
    accepted: list[tuple[str, str]] = field(default_factory=list)

    async def make_home(self, username: str) -> None:
        self.homes.append(username)

    async def home_holds_files(self, username: str) -> bool:
        return username in self.full

    async def end_abandoned(self) -> None:
        self.swept += 1

    async def may_delete(self, user_id: str) -> None:
        """Nobody owns anything here."""

    async def check(self, secret: str) -> dict[str, Any]:
        if secret == "used":
            raise InvitationUsed("This invitation was used already.")
        if secret != "good":
            raise NotFound("There is no such invitation.")
        return {}

    async def accept(self, principal, secret, *, address=None) -> dict[str, Any]:
        self.accepted.append((principal.username, secret))
        return {}


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(keys.from_secret(SECRET))


@pytest.fixture
async def identity(database, others, tokens):
    hasher = Hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    starter = await database.write(lambda tx: ensure_starter(tx, "boss"))
    yield Identity(
        database,
        tokens,
        hasher=hasher,
        limiter=RateLimiter(),
        invitations=others,
        accounts=others,
        starter=starter,
    )
    hasher.close()
