"""The keys that sign tokens: a ring of which the newest signs and all verify."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_collab_ai.settings import Settings

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

#: Bytes of a key that is made here; HS256 wants at least 32 (RFC 7518, section 3.2).
KEY_BYTES = 32
#: Characters that a secret given by an administrator has at the least.
MIN_SECRET = 32
#: Seconds after which a running server looks whether another one has added a key.
LOOK_FOR_NEWEST = 60.0
#: Seconds between two looks for a key that is not in the ring.
LOOK_FOR_UNKNOWN = 1.0


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

    def __init__(self, keys: Sequence[Key]) -> None:
        """Keep ``keys``, of which the one made last signs.

        Raises:
            UnsafeKeys: There is none, or one is too short.
        """
        if not keys:
            raise UnsafeKeys("There is no key to sign with.")
        if any(len(key.secret) < KEY_BYTES for key in keys):
            raise UnsafeKeys("A signing key is too short.")
        self.keys: tuple[Key, ...] = tuple(sorted(keys, key=lambda key: key.created, reverse=True))

    def __repr__(self) -> str:
        return f"KeyRing({[key.kid for key in self.keys]})"

    @property
    def newest(self) -> Key:
        """The key that signs."""
        return self.keys[0]

    def find(self, kid: object) -> Key | None:
        """Return the key of this name, if it is in the ring."""
        return next((key for key in self.keys if key.kid == kid), None)

    def rotated(self, *, keep: float, now: float) -> KeyRing:
        """Return the ring with a new key that signs, without those that signed nothing live.

        Args:
            keep: Seconds that the longest-lived token lives.
            now: Seconds since the epoch.
        """
        fresh = _new_key(max(now, self.newest.created + 0.001))
        kept = [self.newest]
        for successor, key in zip(self.keys, self.keys[1:], strict=False):
            # A key signs until it has a successor.
            if successor.created >= now - keep:
                kept.append(key)
        return KeyRing([fresh, *kept])


def key_ring(settings: Settings) -> KeyRing:
    """Return the ring that a server with these settings signs with.

    Raises:
        UnsafeKeys: A secret is too short, or the file with the keys can't be used.
    """
    if settings.secret_key is not None:
        return from_secret(settings.secret_key, settings.old_secret_keys)
    if settings.old_secret_keys:
        raise UnsafeKeys(
            "COLLAB_AI_OLD_SECRET_KEYS is set without COLLAB_AI_SECRET_KEY; set the secret that "
            "signs from now on, or unset both to use the keys in keys.json."
        )
    return load(settings.key_file)


def origin(settings: Settings) -> str:
    """Return where the ring of :func:`key_ring` comes from, in words that give no secret away."""
    if settings.secret_key is not None:
        return "COLLAB_AI_SECRET_KEY"
    return f"the key in {settings.key_file}"


def from_secret(secret: str, old: Sequence[str] = ()) -> KeyRing:
    """Return the ring of a secret that several servers share.

    Args:
        secret: Signs and verifies.
        old: Those that signed before, the newest first; they still verify.

    Raises:
        UnsafeKeys: A secret is too short to be one.
    """
    ages = range(len(old), -1, -1)
    return KeyRing(
        [_key_of(each, float(age)) for each, age in zip([secret, *old], ages, strict=True)]
    )


def _key_of(secret: str, created: float) -> Key:
    if len(secret) < MIN_SECRET:
        raise UnsafeKeys(
            f"A secret of COLLAB_AI_SECRET_KEY or COLLAB_AI_OLD_SECRET_KEYS has fewer than "
            f"{MIN_SECRET} characters; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )
    key = hashlib.sha256(b"jupyter-collab-ai signing key\0" + secret.encode()).digest()
    kid = hashlib.sha256(b"jupyter-collab-ai key id\0" + key).hexdigest()[:16]
    return Key(kid, key, created)


class KeyFile(KeyRing):
    """A ring that is kept in a file, and made there if it does not exist.

    Of several servers that start at once one makes the file, and all use that one. A key that
    another process adds to the file is found without a restart. Where the file is deleted, a new
    one is made, and its old keys are good for nothing from then on.
    """

    def __init__(self, path: Path) -> None:
        """Read or make the file.

        Raises:
            UnsafeKeys: Others than its owner may read the file, or it is damaged.
        """
        self.path = path
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                _create(path, KeyRing([_new_key(time.time())]))
        #: None while the keys are in no file, as none could be made.
        self._seen: tuple[int, int] | None = _version(path)
        self._looked = time.monotonic()
        super().__init__(_read(path).keys)

    def __repr__(self) -> str:
        return f"KeyFile({self.path.name!r})"

    @property
    def newest(self) -> Key:
        """The key that signs."""
        self._look(LOOK_FOR_NEWEST)
        return super().newest

    def find(self, kid: object) -> Key | None:
        """Return the key of this name, if it is in the ring."""
        # A key that was taken out of the file is none any more, though nothing new is signed.
        self._look(LOOK_FOR_NEWEST)
        found = super().find(kid)
        if found is None:
            self._look(LOOK_FOR_UNKNOWN)
            found = super().find(kid)
        return found

    def _look(self, every: float) -> None:
        now = time.monotonic()
        if now - self._looked < every:
            return
        self._looked = now
        try:
            version = _version(self.path)
            if version != self._seen:
                self.keys, self._seen = _read(self.path).keys, version
        except FileNotFoundError:
            self._begin_anew()
        except (OSError, UnsafeKeys) as error:
            log.warning("The signing keys were not read again: %s", error)

    def _begin_anew(self) -> None:
        """Forget the keys of a file that was deleted, and make another one or use one made."""
        if self._seen is not None:
            log.warning("The signing keys were deleted; a new one signs, and all sign in again.")
            self.keys, self._seen = (_new_key(time.time()),), None
        try:
            with contextlib.suppress(FileExistsError):
                _create(self.path, KeyRing(self.keys))
            version = _version(self.path)
            self.keys, self._seen = _read(self.path).keys, version
        except (OSError, UnsafeKeys) as error:
            # Whoever deleted the keys wants them gone, also where there is no room for others.
            log.warning("The new signing key is kept in memory alone: %s", error)


def load(path: Path) -> KeyFile:
    """Return the ring that is kept in a file, which is made if it does not exist.

    Raises:
        UnsafeKeys: Others than its owner may read the file, or it is damaged.
    """
    return KeyFile(path)


def rotate(path: Path, *, keep: float) -> KeyFile:
    """Add a key that signs from now on, and drop those that signed nothing that still lives.

    Servers that run find it by themselves.

    Args:
        path: The file of the ring.
        keep: Seconds that the longest-lived token lives.

    Raises:
        UnsafeKeys: Others than its owner may read the file, or it is damaged.
    """
    with _alone(path):
        _temporary(path, _read(path).rotated(keep=keep, now=time.time())).replace(path)
    return KeyFile(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let no other process change the file meanwhile: a key of its would be lost."""
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new_key(now: float) -> Key:
    return Key(secrets.token_hex(8), secrets.token_bytes(KEY_BYTES), now)


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


def _create(path: Path, ring: KeyRing) -> None:
    temporary = _temporary(path, ring)
    try:
        # A link fails where the name is taken: whoever is first has made the file, whole.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: there the name is taken first, then written.
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(temporary.read_text())
    finally:
        temporary.unlink()


def _temporary(path: Path, ring: KeyRing) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with O_EXCL and mode 0600.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    items = [
        {
            "kid": key.kid,
            "key": base64.b64encode(key.secret).decode(),
            "created": key.created,
        }
        for key in ring.keys
    ]
    with os.fdopen(descriptor, "w") as file:
        json.dump({"keys": items}, file)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _read(path: Path) -> KeyRing:
    if sys.platform != "win32":
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise UnsafeKeys(
                f"Others may read the signing keys in {path.name}; "
                "take that right away with chmod 600, or delete the file to end all logins."
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise UnsafeKeys(
                f"The signing keys in {path.name} belong to somebody else, who could sign in as "
                "anybody; delete the file to make new ones."
            )
    try:
        items = json.loads(path.read_text())["keys"]
        return KeyRing(
            [
                Key(
                    str(item["kid"]),
                    base64.b64decode(item["key"], validate=True),
                    float(item["created"]),
                )
                for item in items
            ]
        )
    except (ValueError, KeyError, TypeError, UnsafeKeys):
        raise UnsafeKeys(
            f"The signing keys in {path.name} are damaged; delete the file to make new ones, "
            "which ends all logins."
        ) from None
