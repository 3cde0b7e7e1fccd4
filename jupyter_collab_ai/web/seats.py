"""How many lasting connections one account may have: WebSockets and event streams together.

Each costs memory for as long as it lasts, and a client that opens them in a loop would take
all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from jupyter_collab_ai.errors import RateLimited

#: Connections that one account may have, unless the administrator says otherwise.
MAX_CONNECTIONS = 500
#: Seconds after which trying again makes sense.
_RETRY_AFTER = 10.0


class Seats:
    """Counts the connections of each account, in this process."""

    def __init__(self, each: int = MAX_CONNECTIONS) -> None:
        """Let every account have ``each`` connections."""
        self._each = each
        self._taken: Counter[str] = Counter()

    def take(self, user_id: str) -> Callable[[], None]:
        """Count one more, and return how to give it back; giving it back twice does nothing.

        Raises:
            RateLimited: It would be one too many.
        """
        if self._taken[user_id] >= self._each:
            raise RateLimited(
                f"You have {self._each} connections open; close some pages, then try again.",
                retry_after=_RETRY_AFTER,
            )
        self._taken[user_id] += 1
        held = True

        def give_back() -> None:
            nonlocal held
            if not held:
                return
            held = False
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]

        return give_back

    def taken(self, user_id: str) -> int:
        """Return how many an account has."""
        return self._taken.get(user_id, 0)
