"""The keys that sign tokens: a ring of which the newest signs and all verify."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

#: Bytes of a key that is made here; HS256 wants at least 32 (RFC 7518, section 3.2).
KEY_BYTES = 32
#: Characters that a secret given by an administrator has at the least.
MIN_SECRET = 32


class UnsafeKeys(RuntimeError):
    """The keys can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Key:
    """One signing key."""

    kid: str
    secret: bytes = field(repr=False)
    #: Seconds since the epoch.
    created: float = 0.0


class KeyRing:
    """All keys, the newest first."""

    def __init__(self, keys: list[Key]) -> None:
        if not keys:
            raise UnsafeKeys("There is no key to sign with.")
        self._keys = sorted(keys, key=lambda key: key.created, reverse=True)

    def __repr__(self) -> str:
        return f"KeyRing({[key.kid for key in self._keys]})"

    @property
    def newest(self) -> Key:
        """The key that signs."""
        return self._keys[0]

    def find(self, kid: object) -> Key | None:
        """Return the key of this name, if it is in the ring."""
        return next((key for key in self._keys if key.kid == kid), None)


def from_secret(secret: str) -> KeyRing:
    """Return the ring of one secret that several servers share.

    Raises:
        UnsafeKeys: The secret is too short to be one.
    """
    if len(secret) < MIN_SECRET:
        raise UnsafeKeys(
            f"COLLAB_AI_SECRET_KEY has fewer than {MIN_SECRET} characters; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )
    key = hashlib.sha256(b"jupyter-collab-ai signing key\0" + secret.encode()).digest()
    kid = hashlib.sha256(b"jupyter-collab-ai key id\0" + key).hexdigest()[:16]
    return KeyRing([Key(kid, key)])


def load(path: Path) -> KeyRing:
    """Return the ring that is kept in a file, which is made if it does not exist.

    Of several servers that start at once one makes the file, and all use that one.

    Raises:
        UnsafeKeys: Others than its owner may read the file, or it is damaged.
    """
    with contextlib.suppress(FileExistsError):
        if not path.exists():
            _create(path, [_new_key()])
    return _read(path)


def rotate(path: Path, *, keep: float) -> KeyRing:
    """Add a new key that signs from now on, and drop those that can't have signed anything live.

    Args:
        path: The file of the ring.
        keep: Seconds that the longest-lived token lives.
    """
    old = _read(path)
    cutoff = time.time() - keep
    newest = old.newest
    kept = [key for key in old._keys if key is newest or key.created >= cutoff]
    _write(path, [_new_key(), *kept])
    return _read(path)


def _new_key() -> Key:
    return Key(secrets.token_hex(8), secrets.token_bytes(KEY_BYTES), time.time())


def _create(path: Path, keys: list[Key]) -> None:
    temporary = _temporary(path, keys)
    try:
        # A link fails where the name is taken: whoever is first has made the file, whole.
        os.link(temporary, path)
    finally:
        temporary.unlink()


def _write(path: Path, keys: list[Key]) -> None:
    _temporary(path, keys).replace(path)


def _temporary(path: Path, keys: list[Key]) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with O_EXCL and mode 0600.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(
            {
                "keys": [
                    {
                        "kid": key.kid,
                        "key": base64.b64encode(key.secret).decode(),
                        "created": key.created,
                    }
                    for key in keys
                ]
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _read(path: Path) -> KeyRing:
    if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UnsafeKeys(
            f"Others may read the signing keys in {path.name}; "
            "take that right away with chmod 600, or delete the file to end all logins."
        )
    try:
        keys = [
            Key(
                str(item["kid"]),
                base64.b64decode(item["key"], validate=True),
                float(item["created"]),
            )
            for item in json.loads(path.read_text())["keys"]
        ]
    except (ValueError, KeyError, TypeError):
        raise UnsafeKeys(
            f"The signing keys in {path.name} are damaged; delete the file to make new ones, "
            "which ends all logins."
        ) from None
    if any(len(key.secret) < KEY_BYTES for key in keys):
        raise UnsafeKeys(f"A signing key in {path.name} is too short; delete the file.")
    return KeyRing(keys)
