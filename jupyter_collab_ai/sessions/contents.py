"""Files below the server's root, through Jupyter's own contents manager."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from jupyter_collab_ai.errors import (
    DocumentTooLarge,
    FieldError,
    InvalidRequest,
    NotFound,
    PathExists,
)
from jupyter_collab_ai.sessions.paths import ancestors, join, parent_of

#: Bytes that a new document may have.
MAX_CONTENT = 10 * 1024 * 1024


class JupyterContents:
    """Implements the port :class:`~jupyter_collab_ai.sessions.ports.Contents`."""

    def __init__(self, manager: Any) -> None:
        """Use ``manager``, which may be asynchronous or not."""
        self._manager = manager

    async def kind(self, path: str) -> str | None:
        """Return ``file``, ``notebook`` or ``directory``; None where there is nothing."""
        try:
            model = await ensure_async(self._manager.get(path, content=False))
        except HTTPError as error:
            if error.status_code == 404:
                return None
            raise
        return str(model["type"])

    async def create(self, path: str, kind: str, content: object | None) -> None:
        """Create what does not exist yet, and the folders above it.

        Raises:
            InvalidRequest: ``content`` is not what a file of this kind can hold.
            DocumentTooLarge: ``content`` is larger than :data:`MAX_CONTENT`.
            PathExists: A file is where a folder would have to be.
        """
        model = new_model(kind, content)
        for folder in reversed(ancestors(path)[1:]):
            found = await self.kind(folder)
            if found is None:
                await ensure_async(self._manager.save({"type": "directory"}, folder))
            elif found != "directory":
                raise PathExists("A file is where a folder of this path would have to be.")
        await ensure_async(self._manager.save(model, path))

    async def move(self, old: str, new: str) -> None:
        """Move a file or folder; folders above the new path are made.

        Raises:
            NotFound: There is nothing at ``old``.
            PathExists: There is something at ``new``.
        """
        if await self.kind(old) is None:
            raise NotFound("There is nothing at the session's path any more.")
        if await self.kind(new) is not None:
            raise PathExists("There is something at this path already; choose another.")
        folder = parent_of(new)
        if folder and await self.kind(folder) is None:
            await self.create(folder, "directory", None)
        await ensure_async(self._manager.rename_file(old, new))

    async def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing there is no error."""
        kind = await self.kind(path)
        if kind is None:
            return
        if kind == "directory" and not getattr(self._manager, "delete_to_trash", False):
            # Jupyter refuses to delete a folder that is not empty, where there is no trash.
            model = await ensure_async(self._manager.get(path, content=True))
            for child in model["content"]:
                await self.delete(join(path, child["name"]))
        await ensure_async(self._manager.delete_file(path))


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
    if content is None:
        return nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    text = content if isinstance(content, str) else json.dumps(content)
    _require_size(text)
    try:
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except Exception:
        # nbformat raises whatever its input leads it into.
        raise _bad_content("The content is not a valid notebook (nbformat 4).") from None
    return notebook


def _require_size(text: str) -> None:
    if len(text.encode(errors="replace")) > MAX_CONTENT:
        raise DocumentTooLarge(
            f"The content is larger than {MAX_CONTENT // 1024 // 1024} MiB; "
            "a document of that size can't be edited together."
        )


def _bad_content(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, errors=[FieldError("content", sentence)])
