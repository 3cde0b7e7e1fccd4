"""Keeping those who guess passwords slow, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from jupyter_collab_ai.errors import InvalidCredentials, RateLimited
from jupyter_collab_ai.web.limits import (
    FAILED_LOGINS,
    FAILED_TOKENS,
    LOGINS,
    NOTES,
    REGISTRATIONS,
    RateLimiter,
    network_of,
)

#: Tries for one account from one address that may wait for each other.
MAX_WAITING = 64


class Throttle:
    """Counts registrations, sign-ins, and above all passwords that were wrong.

    Wrong ones count for an account and an address together, so that a stranger can lock
    nobody out but themselves.
    """

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._turns: dict[tuple[str, str], _Turn] = {}

    def registration(self, address: str) -> None:
        """Count a registration.

        Raises:
            RateLimited: Too many came from this address.
        """
        self._limiter.hit(REGISTRATIONS, network_of(address))

    def login(self, address: str) -> None:
        """Count a sign-in, whether it succeeds or not.

        Raises:
            RateLimited: Too many came from this address.
        """
        self._limiter.hit(LOGINS, network_of(address))

    def token(self, address: str, *, right: bool, guessable: bool) -> None:
        """Count a token of Jupyter's if it is wrong.

        One that nobody can guess is taken however many wrong ones came from its address, so
        that nobody is shut out by what others try there. One that can be guessed is not: else
        the limit would keep nobody from guessing on.

        Raises:
            RateLimited: Too many wrong ones came from this address.
        """
        if not right:
            self._limiter.hit(FAILED_TOKENS, network_of(address))
        elif guessable:
            self._limiter.check(FAILED_TOKENS, network_of(address))

    def is_news(self, *key: str) -> bool:
        """Return whether a throttled account or address is to be noted, once a minute each."""
        return self._limiter.passes(NOTES, *key)

    @contextlib.asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[None]:
        """Try a password in the block, which raises InvalidCredentials if it is wrong.

        Tries for one account from one address go one after the other: of many at once no more
        may be wrong than of as many in a row.

        Raises:
            RateLimited: Too many were wrong.
        """
        key = (account, network_of(address))
        turn = self._turns.setdefault(key, _Turn())
        if turn.waiting >= MAX_WAITING:
            raise RateLimited(FAILED_LOGINS.sentence, retry_after=10)
        turn.waiting += 1
        try:
            async with turn.lock:
                self._limiter.check(FAILED_LOGINS, *key)
                try:
                    yield
                except InvalidCredentials:
                    self._limiter.hit(FAILED_LOGINS, *key)
                    raise
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
