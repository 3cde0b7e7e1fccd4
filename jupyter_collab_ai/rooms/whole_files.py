"""Files are written whole or not at all, by the contents managers that Jupyter comes with.

``jupyter_server.services.contents.fileio.atomic_writing`` (2.x) keeps a copy and writes in place:
whoever looks meanwhile sees half a file, and a server that is killed, or a disk that is full when
the last bytes are flushed, leaves one behind. Here the new file is written beside the old one and
takes its place when all of it is on the disk.

That gives a path another inode. Where somebody could miss the old one, it is written in place as
ever: for hard links, other owners and groups, extended attributes, files that are mounts, and
where ids of files go by their inodes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MethodType
from typing import IO, Any
from weakref import WeakKeyDictionary

from jupyter_server.services.contents.fileio import FileManagerMixin

#: Seconds after which a half-written file is surely not being written any more.
_LEFT_BEHIND = 60.0

#: The managers that replace files, and what tells whether something knows files by their inodes.
_known_by_inode: WeakKeyDictionary[FileManagerMixin, Callable[[], bool]] = WeakKeyDictionary()


def write_whole(manager: object, goes_by_inode: Callable[[], bool]) -> bool:
    """Let a contents manager replace files instead of writing in place, where it is Jupyter's.

    Args:
        manager: The contents manager.
        goes_by_inode: Whether something on the server knows files by their inodes.

    Returns:
        Whether it does so now; others than Jupyter's are left alone.
    """
    if os.name != "posix" or not isinstance(manager, FileManagerMixin):
        return False
    if type(manager).atomic_writing is not FileManagerMixin.atomic_writing:
        return False

    @contextlib.contextmanager
    def atomic_writing(self: FileManagerMixin, os_path: str, *args: Any, **kwargs: Any) -> Any:
        path = Path(os_path).resolve()
        if not replaces(self, path):
            with FileManagerMixin.atomic_writing(self, os_path, *args, **kwargs) as file:
                yield file
            return
        with self.perm_to_403(os_path), replacing(path, *args, **kwargs) as file:
            yield file

    vars(manager)["atomic_writing"] = MethodType(atomic_writing, manager)
    _known_by_inode[manager] = goes_by_inode
    return True


def replaces(manager: object, path: Path) -> bool:
    """Tell whether a contents manager would now replace the file at ``path`` as a whole."""
    if not isinstance(manager, FileManagerMixin):
        return False
    goes_by_inode = _known_by_inode.get(manager)
    if goes_by_inode is None or goes_by_inode() or not manager.use_atomic_writing:
        return False
    return may_replace(path)


def may_replace(path: Path) -> bool:
    """Tell whether nobody would miss the file at ``path`` if a new one took its place."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return False
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    if found.st_uid != os.geteuid() or not os.access(path, os.W_OK):
        return False
    # A new file can't be given to a group that one is not in.
    if found.st_gid not in {os.getegid(), *os.getgroups()}:
        return False
    # Access control lists, among others.
    listxattr = getattr(os, "listxattr", None)
    try:
        return listxattr is None or not listxattr(path)
    except OSError as error:
        return error.errno == errno.ENOTSUP


@contextlib.contextmanager
def replacing(
    path: Path, text: bool = True, encoding: str = "utf-8", log: object = None, **kwargs: Any
) -> Iterator[IO[Any]]:
    """Write a file that takes the place of the one at ``path`` when the block ends well.

    The arguments are those of upstream's ``atomic_writing``.

    Raises:
        OSError: It could not be written; the file at ``path`` is as it was.
    """
    del log
    if text:
        kwargs.setdefault("newline", "\n")
        kwargs.setdefault("encoding", encoding)
    new, descriptor = _create_beside(path)
    try:
        with os.fdopen(descriptor, "w" if text else "wb", **kwargs) as file:
            with contextlib.suppress(FileNotFoundError):
                before = path.stat()
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                if os.fstat(descriptor).st_gid != before.st_gid:
                    os.fchown(descriptor, -1, before.st_gid)
            yield file
            file.flush()
            os.fsync(descriptor)
        _take_place(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _create_beside(path: Path) -> tuple[Path, int]:
    """Create a hidden file in the folder of ``path``; return its name and descriptor.

    It is called the same each time, so that what a killed server left behind is cleared away.
    """
    mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    new = path.with_name(f".~{mark}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        if time.time() - new.lstat().st_mtime > _LEFT_BEHIND:
            new.unlink()
    try:
        return new, os.open(new, flags, 0o666)
    except FileExistsError:
        new = new.with_name(f"{new.name}-{secrets.token_hex(4)}")
        return new, os.open(new, flags, 0o666)


def _take_place(new: Path, path: Path) -> None:
    try:
        new.replace(path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A file that is mounted by itself, as containers do, can be written in place alone.
        shutil.copyfile(new, path)
        new.unlink()


def _settle(folder: Path) -> None:
    """Have it on the disk that a file took the place of another, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


__all__ = ["may_replace", "replaces", "replacing", "write_whole"]
