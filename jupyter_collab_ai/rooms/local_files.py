"""Files on this machine's own disk, read and written without Jupyter's event loop.

Jupyter's contents managers (``jupyter_server`` 2.x) wait for the disk, hash files, turn notebooks
into dictionaries, sign them and note their trust on the event loop: for some MB, or on a disk
that is slow to sync, everybody waits for seconds. Of a file that lies where one of *its own*
managers has it, the same is done here by a worker thread, for a large one by a process of its own,
from the document straight to the file. Each other manager, and each one that has hooks before
saving (they get the whole content) or is changed otherwise, does it as ever.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.filemanager import (
    AsyncFileContentsManager,
    FileContentsManager,
)
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from jupyter_server.utils import ensure_async
from nbformat.sign import NotebookNotary, SQLiteSignatureStore
from pycrdt import Doc, Map
from tornado.web import HTTPError

from jupyter_collab_ai.rooms.content import Content, build, content_in, has_doubled_ids
from jupyter_collab_ai.rooms.copies import change_in
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.helper_process import require_server
from jupyter_collab_ai.rooms.whole_files import replaces, replacing

log = logging.getLogger(__name__)

#: The managers whose ways are known; exactly these, as a subclass may do more.
KNOWN = (
    FileContentsManager,
    AsyncFileContentsManager,
    LargeFileManager,
    AsyncLargeFileManager,
)
#: What of a manager is done here in its place; where one of it is another one, it is left to it.
REPLACED = ("get", "save", "_notebook_model", "_file_model", "_save_notebook", "_save_file")

#: Bytes from which on a file takes a process. A notebook costs more, for each of its parts.
LARGE = {Kind.NOTEBOOK: 128 * 1024, Kind.TEXT: 2 * 1024 * 1024}


class ChangedOnDisk(Exception):
    """The file is not the one that was to be replaced."""


class DoubledIds(Exception):
    """Cells have the same id; in a file each has its own."""


class Unreadable(Exception):
    """The contents manager has to say what is wrong with the file, or to mend it."""


@dataclass(frozen=True)
class Signing:
    """How notebooks that are trusted are known again, in Jupyter's own database."""

    db_file: str
    algorithm: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, notary: object) -> Signing | None:
        """Return how this notary does it; None where that is not known here."""
        if type(notary) is not NotebookNotary or type(notary.store) is not SQLiteSignatureStore:
            return None
        if notary.store.db_file == ":memory:":
            return None
        return cls(notary.store.db_file, notary.algorithm, notary.secret)

    def notary(self) -> NotebookNotary:
        """Return a notary on the same database; for the other process."""
        return NotebookNotary(  # type: ignore[no-untyped-call]
            db_file=self.db_file, algorithm=self.algorithm, secret=self.secret
        )


@dataclass(frozen=True)
class Save:
    """A file to be written, and with what."""

    path: str
    kind: Kind
    #: The document, as one update.
    state: bytes
    newline: str
    #: The hash of the file that is to be replaced; None where it does not matter.
    replaces: str | None
    signing: Signing | None
    #: The Yjs client id under which the document is marked as saved.
    client_id: int


@dataclass(frozen=True)
class Saved:
    """A file that was written."""

    digest: str
    modified_ns: int
    #: The update that marks the document as saved; empty where it is marked so already.
    mark: bytes


class LocalFile:
    """A file that one of Jupyter's own contents managers has on this machine."""

    def __init__(self, manager: Any, path: str, kind: Kind, os_path: Path, size: int) -> None:
        self._manager = manager
        self._path = path
        self.kind = kind
        self.os_path = os_path
        self.large = size >= LARGE[kind]
        self.signing = Signing.of(manager.notary)

    @classmethod
    def find(cls, manager: Any, path: str, kind: Kind) -> LocalFile | None:
        """Return the file, where it is one; None where the manager has to do it."""
        os_path = place_of(manager, path)
        if os_path is None or manager.hash_algorithm != "sha256":
            return None
        try:
            found = os_path.stat()
        except OSError:
            return None  # the manager says why
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(manager, path, kind, os_path, found.st_size)

    def may_be_read(self) -> bool:
        """Tell whether it can be read here."""
        return self.kind is Kind.TEXT or self.signing is not None

    def may_be_written(self) -> bool:
        """Tell whether it can be replaced here, and nobody else wants to see it before."""
        manager = self._manager
        return (
            manager.pre_save_hook is None
            and not manager._pre_save_hooks
            and self.may_be_read()
            and replaces(manager, self.os_path.resolve())
        )

    async def was_saved(self) -> dict[str, Any]:
        """Do what the manager does after each save; return its model of the file."""
        manager, path = self._manager, self._path.strip("/")
        checkpoints = manager.checkpoints.list_checkpoints
        if self.kind is Kind.NOTEBOOK and not await ensure_async(checkpoints(path)):
            await ensure_async(manager.create_checkpoint(path))
        model = dict(await ensure_async(manager.get(path, content=False)))
        manager.run_post_save_hooks(model=model, os_path=str(self.os_path))
        manager.emit(data={"action": "save", "path": path})
        return model


def place_of(manager: Any, path: str) -> Path | None:
    """Return where on this machine a contents manager has a file, if it is one that is known.

    None for hidden files, too: whether these are to be seen is for the manager to say.
    """
    if type(manager) not in KNOWN or vars(manager).keys() & set(REPLACED):
        return None
    parts = path.strip("/").split("/")
    if any(part.startswith(".") for part in parts):
        return None
    try:
        return Path(manager._get_os_path("/".join(parts)))
    except (OSError, HTTPError):
        return None


# ---------------------------------------------------------------- in a thread or the other process


def digest_of_file(path: Path) -> str:
    """Return the hash of a file, as the contents manager has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> tuple[str, str]:
    """Return what a file holds, and its hash.

    Raises:
        Unreadable: It is not UTF-8.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8"), hashlib.sha256(data).hexdigest()
    except UnicodeError:
        raise Unreadable from None


def read_notebook(path: Path, signing: Signing | None) -> tuple[Content, str]:
    """Return what a notebook holds, with the marks of trusted cells, and its hash.

    Raises:
        Unreadable: It is no notebook.
    """
    data = path.read_bytes()
    invalid: dict[str, Any] = {}
    try:
        notebook = nbformat.reads(  # type: ignore[no-untyped-call]
            data.decode("utf-8"), as_version=4, capture_validation_error=invalid
        )
    except Exception:
        raise Unreadable from None
    if signing is not None:
        with signing.notary() as notary:
            trusted = notary.check_signature(notebook)
            notary.mark_cells(notebook, trusted)
    # Its own kind of dictionary takes long to be handed over.
    return json.loads(json.dumps(notebook)), hashlib.sha256(data).hexdigest()


def save(order: Save) -> Saved:
    """Write a document to its file.

    Raises:
        ChangedOnDisk: Somebody else has changed or removed the file; nothing was written.
        DoubledIds: Nothing was written.
        OSError: It could not be written; the file is as it was.
    """
    doc = build([order.state], order.client_id)
    content = content_in(order.kind, doc)
    if has_doubled_ids(order.kind, content):
        raise DoubledIds
    data = _encoded(order, content)
    digest = hashlib.sha256(data).hexdigest()
    path = Path(order.path)
    with replacing(path.resolve(), text=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        modified_ns = os.fstat(file.fileno()).st_mtime_ns
        # As close to the end as can be: what others have written meanwhile would be lost.
        require_server()
        if order.replaces is not None and _digest_or_none(path) != order.replaces:
            raise ChangedOnDisk
    mark, _ = change_in(doc, lambda doc: mark_clean(doc, digest))
    return Saved(digest, modified_ns, mark or b"")


def _encoded(order: Save, content: Content) -> bytes:
    if order.kind is Kind.TEXT:
        text = str(content).replace("\n", order.newline)
        return text.encode("utf-8")
    notebook = nbformat.from_dict(content)  # type: ignore[no-untyped-call]
    if order.signing is not None:
        _sign(notebook, order.signing)
    invalid: dict[str, Any] = {}
    text = nbformat.writes(  # type: ignore[no-untyped-call]
        notebook, version=nbformat.NO_CONVERT, capture_validation_error=invalid
    )
    return (text if text.endswith("\n") else f"{text}\n").encode("utf-8")


def _sign(notebook: Any, signing: Signing) -> None:
    try:
        with signing.notary() as notary:
            if notary.check_cells(notebook):
                notary.sign(notebook)
    except Exception:
        # As Jupyter does: a notebook that is not trusted later is better than none.
        log.warning("The trust in a notebook could not be noted.", exc_info=True)


def _digest_or_none(path: Path) -> str | None:
    try:
        return digest_of_file(path)
    except FileNotFoundError:
        return None


def mark_clean(doc: Doc[Any], digest: str) -> None:
    """Say in a document that its file holds it."""
    state = doc.get("state", type=Map)
    if state.get("hash") != digest:
        state["hash"] = digest
    if state.get("dirty") is not False:
        state["dirty"] = False
