"""Keeping those who guess passwords slow, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator

from jupyter_collab_ai.errors import InvalidCredentials, RateLimited
from jupyter_collab_ai.web.limits import FAILED_LOGINS, LOGINS, REGISTRATIONS, RateLimiter

#: Tries for one account from one address that may wait for each other.
MAX_WAITING = 64


def network_of(address: str) -> str:
    """Return what counts as one address: a host of IPv6 has a whole network of its own."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


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
