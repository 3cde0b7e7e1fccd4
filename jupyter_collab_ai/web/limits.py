"""How often something may be done, over a sliding window, in this process."""

from __future__ import annotations

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
CALLS = Limit(
    "calls",
    RateLimitItemPerSecond(200),
    "Too many requests at once; slow down and try again.",
)


class RateLimiter:
    """Counts, in a sliding window, what was done under a limit and a key."""

    def __init__(self) -> None:
        self._strategy = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, limit: Limit, *key: str) -> None:
        """Count one more.

        Raises:
            RateLimited: It would be one too many; ``retry_after`` says when it will not be.
        """
        if not self._strategy.hit(limit.item, limit.name, *key):
            raise self._refusal(limit, key)

    def check(self, limit: Limit, *key: str) -> None:
        """Refuse if one more would be too many, without counting.

        Raises:
            RateLimited: It would be.
        """
        if not self._strategy.test(limit.item, limit.name, *key):
            raise self._refusal(limit, key)

    def _refusal(self, limit: Limit, key: tuple[str, ...]) -> RateLimited:
        stats = self._strategy.get_window_stats(limit.item, limit.name, *key)
        return RateLimited(limit.sentence, retry_after=max(1.0, stats.reset_time - time.time()))
