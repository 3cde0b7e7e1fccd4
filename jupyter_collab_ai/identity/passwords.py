"""Passwords: what is accepted as one, and how it is hashed without stopping the server."""

from __future__ import annotations

import asyncio
import gzip
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jupyter_collab_ai.errors import FieldError, InvalidRequest, RateLimited

T = TypeVar("T")

#: Characters that a password has at the least (NIST SP 800-63B, section 3.1.1).
MIN_LENGTH = 8
#: Characters that it has at the most; longer ones would only cost time to hash.
MAX_LENGTH = 1024
#: Hashes under way at once; each takes 64 MiB and a core for about 0.15 s.
AT_ONCE = 2
#: Hashes that may wait; further ones would take longer than anybody waits.
MAX_WAITING = 64


@cache
def common_passwords() -> frozenset[str]:
    """Return the most common passwords of eight characters and more, case-folded.

    See ``common_passwords.md`` for where the list is from.
    """
    packed = files("jupyter_collab_ai.identity").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))


def check_password(password: str, *, field: str = "password") -> None:
    """Refuse what can't be a password.

    Raises:
        InvalidRequest: It is too short, too long, or among the most common ones.
    """
    problem = None
    if len(password) < MIN_LENGTH:
        problem = f"A password has at least {MIN_LENGTH} characters."
    elif len(password) > MAX_LENGTH:
        problem = f"A password has at most {MAX_LENGTH} characters."
    elif not _encodable(password):
        problem = "This is not valid Unicode."
    elif password.casefold() in common_passwords():
        problem = "This is one of the most common passwords; choose another."
    if problem is not None:
        raise InvalidRequest(problem, errors=[FieldError(field, problem)])


def _encodable(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


class Hasher:
    """Hashes and verifies passwords with argon2id (RFC 9106) in threads of its own.

    Its own threads, because logins must not keep others from the database.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Hash with ``hasher``, by default with the parameters that argon2-cffi recommends."""
        self._hasher = hasher or PasswordHasher()
        self._executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="collab-ai-hash")
        self._pending = 0
        # Verified against where there is no account, so that it takes as long as with one.
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password.

        Raises:
            RateLimited: Too many are waiting.
        """
        return await self.run(lambda: self._hasher.hash(_same(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether ``password`` is the one of ``stored``; None is nobody's.

        Raises:
            RateLimited: Too many are waiting.
        """
        if len(password) > MAX_LENGTH or not _encodable(password):
            password, stored = "", None
        return await self.run(lambda: self._verify(stored, _same(password)))

    def outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than those in use now."""
        return self._hasher.check_needs_rehash(stored)

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function that takes as long as a hash where it keeps nobody else waiting.

        Raises:
            RateLimited: Too many are waiting.
        """
        if self._pending >= AT_ONCE + MAX_WAITING:
            raise RateLimited(
                "Too many people are signing in at this moment; try again in a few seconds.",
                retry_after=5,
            )
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        if self._dummy is None:
            self._dummy = self._hasher.hash("nobody's password")
        try:
            matches = self._hasher.verify(stored or self._dummy, password)
        except (VerificationError, InvalidHashError):
            return False
        return matches and stored is not None


def _same(password: str) -> str:
    """Return what two keyboards that type a character differently agree on (NIST, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
