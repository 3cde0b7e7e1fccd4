"""How often something may be done, over a sliding window, in this process."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from jupyter_collab_ai.errors import RateLimited


@dataclass(frozen=True)
class Limit:
    """At most ``item.amount`` times in the window that ``item`` spans."""

    name: str
    item: RateLimitItem
    sentence: str


REGISTRATIONS = Limit(
    "registrations",
    RateLimitItemPerMinute(60),
    "Too many accounts were registered from your address; try again in a minute.",
)
LOGINS = Limit(
    "logins",
    RateLimitItemPerMinute(120),
    "Too many sign-ins came from your address; try again in a minute.",
)
FAILED_LOGINS = Limit(
    "failed_logins",
    RateLimitItemPerMinute(10),
    "Too many sign-ins with a wrong password; try again in a minute.",
)
CONFIRMATIONS = Limit(
    "confirmations",
    RateLimitItemPerMinute(30),
    "Too many confirmations were asked for in your name; try again in a minute.",
)
#: Of somebody's invitations and changes of roles. At the promised 50 calls a second it does not
#: bite, so that it stops a script which runs wild and nobody else.
SHARING = Limit(
    "sharing",
    RateLimitItemPerMinute(3000),
    "Too many invitations and changes of members in your name; try again in a minute.",
)
#: Of calls of this package, of one account, or of one address where nobody is signed in.
CALLS = Limit(
    "calls",
    RateLimitItemPerSecond(200),
    "Too many requests at once; slow down and try again.",
)
#: Of wrong tokens of Jupyter's from one address.
FAILED_TOKENS = Limit(
    "failed_tokens",
    RateLimitItemPerMinute(60),
    "Too many requests with a wrong token; try again in a minute.",
)
#: Of lines in the audit log about one account or address that is being throttled.
NOTES = Limit(
    "notes",
    RateLimitItemPerMinute(1),
    "This was noted already.",
)

#: After so many hits, keys under which nothing is counted any more are forgotten.
SWEEP_EVERY = 1024


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


class RateLimiter:
    """Counts, in a sliding window, what was done under a limit and a key."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._strategy = MovingWindowRateLimiter(self._storage)
        self._hits = 0

    def hit(self, limit: Limit, *key: str) -> None:
        """Count one more.

        Raises:
            RateLimited: It would be one too many; ``retry_after`` says when it will not be.
        """
        self._sweep()
        if not self._strategy.hit(limit.item, limit.name, *key):
            raise self._refusal(limit, key)

    def passes(self, limit: Limit, *key: str) -> bool:
        """Count one more, and return whether it was not one too many."""
        self._sweep()
        return self._strategy.hit(limit.item, limit.name, *key)

    def check(self, limit: Limit, *key: str) -> None:
        """Refuse if one more would be too many, without counting.

        Raises:
            RateLimited: It would be.
        """
        if not self._strategy.test(limit.item, limit.name, *key):
            raise self._refusal(limit, key)

    def _sweep(self) -> None:
        """Forget keys under which nothing is counted any more; the library keeps them."""
        self._hits += 1
        if self._hits % SWEEP_EVERY == 0:
            for key in [key for key, events in list(self._storage.events.items()) if not events]:
                self._storage.clear(key)

    def _refusal(self, limit: Limit, key: tuple[str, ...]) -> RateLimited:
        stats = self._strategy.get_window_stats(limit.item, limit.name, *key)
        return RateLimited(limit.sentence, retry_after=max(1.0, stats.reset_time - time.time()))
