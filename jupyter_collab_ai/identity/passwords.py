"""Passwords: what is accepted as one, and how it is hashed without stopping the server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jupyter_collab_ai.errors import FieldError, InvalidRequest

T = TypeVar("T")

#: Characters that a password has at the least (NIST SP 800-63B, section 3.1.1).
MIN_LENGTH = 8
#: Characters that it has at the most; longer ones would only cost time to hash.
MAX_LENGTH = 1024
#: Hashes under way at once; each takes 64 MiB and a core for about 0.15 s.
AT_ONCE = 2


@cache
def common_passwords() -> frozenset[str]:
    """Return the most common passwords of eight characters and more, case-folded.

    From the list by Royce Williams that Django ships (``common-passwords.txt.gz``).
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
        # Verified against where there is no account, so that it takes as long as with one.
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether ``password`` is the one of ``stored``; None is nobody's."""
        if len(password) > MAX_LENGTH or not _encodable(password):
            password, stored = "", None
        return await self._run(lambda: self._verify(stored, password))

    def outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than those in use now."""
        return self._hasher.check_needs_rehash(stored)

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

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)
