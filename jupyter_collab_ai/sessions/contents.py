"""Files below the server's root, through Jupyter's own contents manager."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.utils import ensure_async
from nbformat.validator import normalize
from tornado.web import HTTPError

from jupyter_collab_ai.errors import (
    DocumentTooLarge,
    FieldError,
    InvalidRequest,
    NotFound,
    PathExists,
)
from jupyter_collab_ai.real_paths import real_path_in, root_of
from jupyter_collab_ai.sessions.paths import ancestors, join, parent_of

#: Bytes that a new document may have.
MAX_CONTENT = 10 * 1024 * 1024

_TAKEN = "There is something at this path already; choose another."
_UNDER_FILE = "A file is where a folder of this path would have to be."
_LEFT = "Not all of the files can be deleted; delete what is left by hand."


class JupyterContents:
    """Implements the port :class:`~jupyter_collab_ai.sessions.ports.Contents`."""

    def __init__(self, manager: Any) -> None:
        """Use ``manager``, which may be asynchronous or not."""
        self._manager = manager

    async def require_plain(self, path: str) -> None:
        """Refuse a path that leads through a link: the same file would have two paths.

        Raises:
            InvalidRequest: It does.
        """
        if await self.real(path) != path:
            sentence = "The path leads through a link; name what it leads to instead."
            raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])

    async def real(self, path: str) -> str | None:
        """Return the path of what a path leads to; see :func:`~.real_paths.real_path_in`."""
        return await real_path_in(self._manager, path)

    async def kind(self, path: str) -> str | None:
        """Return ``file``, ``notebook`` or ``directory``; None where there is nothing."""
        try:
            model = await ensure_async(self._manager.get(path, content=False))
        except HTTPError as error:
            if error.status_code == 404:
                return None
            raise
        return str(model["type"])

    async def holds_files(self, path: str) -> bool:
        """Return whether there is a folder with something in it, or a file, at ``path``."""
        kind = await self.kind(path)
        if kind != "directory":
            return kind is not None
        model = await ensure_async(self._manager.get(path, content=True))
        return bool(model["content"])

    async def prepare(self, kind: str, content: object | None) -> dict[str, Any]:
        """Return the contents model of a new file, notebook or folder.

        Raises:
            InvalidRequest: ``content`` is not what a file of this kind can hold.
            DocumentTooLarge: ``content`` is larger than :data:`MAX_CONTENT`.
        """
        # To validate a large notebook takes seconds.
        return await asyncio.to_thread(new_model, kind, content)

    async def create(self, path: str, prepared: dict[str, Any]) -> None:
        """Create what does not exist yet, and the folders above it.

        Raises:
            PathExists: Something is there, or a file is where a folder would have to be.
        """
        await self._make_folders(ancestors(path)[1:])
        if await self.kind(path) is not None:
            raise PathExists(_TAKEN)
        try:
            await ensure_async(self._manager.save(prepared, path))
        except HTTPError:
            # Somebody else may have made the folder at this very moment.
            if prepared["type"] != "directory" or await self.kind(path) is None:
                raise
            raise PathExists(_TAKEN) from None

    async def move(self, old: str, new: str) -> None:
        """Move a file or folder; folders above the new path are made.

        Raises:
            NotFound: There is nothing at ``old``.
            PathExists: There is something at ``new``, or a file is where a folder would have
                to be.
        """
        if await self.kind(old) is None:
            raise NotFound("There is nothing at the session's path any more.")
        if await self.kind(new) is not None:
            raise PathExists(_TAKEN)
        if parent_of(new):
            await self._make_folders(ancestors(parent_of(new)))
        # Not ``rename_file``: this one lets checkpoints and file ids follow.
        await ensure_async(self._manager.rename(old, new))

    async def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing there is no error.

        Raises:
            PathExists: Something can't be deleted.
        """
        kind = await self.kind(path)
        if kind is None:
            return
        try:
            await ensure_async(self._manager.delete(path))
        except HTTPError as error:
            if error.status_code != 400:
                raise
            # Jupyter's word for a folder that is not empty, where there is no trash.
            if kind != "directory" or await self._is_link(path):
                raise PathExists(_LEFT) from None
        else:
            return
        model = await ensure_async(self._manager.get(path, content=True))
        for child in model["content"]:
            await self.delete(join(path, child["name"]))
        try:
            await ensure_async(self._manager.delete(path))
        except HTTPError as error:
            if error.status_code != 400:
                raise
            raise PathExists(_LEFT) from None

    async def _make_folders(self, folders: list[str]) -> None:
        """Make folders that don't exist; the longest path comes first."""
        for folder in reversed(folders):
            found = await self.kind(folder)
            if found is None:
                try:
                    await ensure_async(self._manager.save({"type": "directory"}, folder))
                except HTTPError:
                    if await self.kind(folder) != "directory":
                        raise
            elif found != "directory":
                raise PathExists(_UNDER_FILE)

    async def _is_link(self, path: str) -> bool:
        root = root_of(self._manager)
        return root is not None and await asyncio.to_thread(Path(root, path).is_symlink)


def new_model(kind: str, content: object | None) -> dict[str, Any]:
    """Return the contents model of a new file, notebook or folder.

    Raises:
        InvalidRequest: ``content`` is not what a file of this kind can hold.
        DocumentTooLarge: ``content`` is larger than :data:`MAX_CONTENT`.
    """
    if kind == "directory":
        if content is not None:
            raise _bad_content("A folder has no content of its own.")
        return {"type": "directory"}
    if kind == "notebook":
        return {"type": "notebook", "format": "json", "content": _notebook(content)}
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise _bad_content("The content of a file has to be text.")
    _require_size(content)
    return {"type": "file", "format": "text", "content": content}


def _notebook(content: object | None) -> Any:
    """Return a valid notebook of nbformat 4.5, the version in which cells have ids."""
    if content is None:
        return nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    text = content if isinstance(content, str) else json.dumps(content)
    _require_size(text)
    try:
        # nbformat takes whatever does not say its version for the first one.
        if json.loads(text)["nbformat"] not in (3, 4):
            raise _bad_content("Notebooks of this version are not known; use nbformat 4.")
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        notebook = nbformat.v4.upgrade(notebook)  # type: ignore[no-untyped-call]
        _, notebook = normalize(notebook)
        nbformat.validate(notebook)
    except InvalidRequest:
        raise
    except Exception:
        # nbformat raises whatever its input leads it into.
        raise _bad_content("The content is not a valid notebook (nbformat 4).") from None
    for cell in notebook.cells:
        # Who sends a notebook can't vouch for its outputs: trusted ones run in browsers.
        cell.metadata.pop("trusted", None)
    return notebook


def _require_size(text: str) -> None:
    if len(text.encode(errors="replace")) > MAX_CONTENT:
        raise DocumentTooLarge(
            f"The content is larger than {MAX_CONTENT // 1024 // 1024} MiB; "
            "upload the file first, then share its path without content."
        )


def _bad_content(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, errors=[FieldError("content", sentence)])
