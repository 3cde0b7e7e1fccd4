"""Contents, as each account may see them, and followed where they go.

These handlers take the place of upstream's of the same name. Whether a request may be made
at all the gate has decided before; here is what its answer may show.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.nbconvert.handlers import NbconvertFileHandler
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.utils import ensure_async

from jupyter_collab_ai.access.decisions import View
from jupyter_collab_ai.access.files import Files
from jupyter_collab_ai.access.gate import Admitted
from jupyter_collab_ai.access.ports import Moves
from jupyter_collab_ai.errors import AdminRequired

#: What a notebook may be converted to by everybody who may read it. Others run programs that
#: read any file that the document names (latex, pdf), load pages from anywhere (webpdf), or load
#: whatever exporter the document asks for (script).
SAFE_FORMATS = frozenset({"asciidoc", "html", "markdown", "notebook", "python", "rst", "slides"})


class FollowedContents:
    """The contents manager; tells of what it moves and deletes before the request is answered."""

    def __init__(self, manager: Any, moves: Moves, files: Files) -> None:
        self._manager = manager
        self._moves = moves
        self._files = files

    def __getattr__(self, name: str) -> Any:
        """Be the manager in everything else."""
        return getattr(self._manager, name)

    async def update(self, model: dict[str, Any], path: str) -> dict[str, Any]:
        """Rename, as the manager does."""
        old = path.strip("/")
        new = str(model.get("path", path)).strip("/")
        # Before anything moves: afterwards nobody can tell where a link led.
        places = await self._place(old), await self._place(new)
        updated: dict[str, Any] = await ensure_async(self._manager.update(model, path))
        if new != old:
            try:
                await self._moves.renamed(*places)
            except BaseException:
                # Roles go by path: a file that they can't follow has to be where it was.
                await ensure_async(self._manager.rename(new, old))
                raise
        return updated

    async def delete(self, path: str) -> None:
        """Delete, as the manager does."""
        place = await self._place(path.strip("/"))
        await ensure_async(self._manager.delete(path))
        await self._moves.deleted(place)

    async def _place(self, path: str) -> str:
        """Return the one path by which what is at ``path`` is known, whatever links lead there."""
        return await self._files.entry(path) or path


class SharedContentsHandler(Admitted, ContentsHandler):
    """``/api/contents``: shows what is shared, and nothing beside it."""

    _view: View | None = None

    @property
    def contents_manager(self) -> Any:
        """The contents manager, followed."""
        gate = self.collab_gate
        return FollowedContents(super().contents_manager, gate.moves, gate.decisions.files)

    async def prepare(self) -> None:  # type: ignore[override]
        """Decide what is to be seen before it is read."""
        await super().prepare()
        admission = self.collab_admission
        if admission is None or self._finished or self.request.method != "GET":
            return
        principal = admission.principal
        if not principal.is_admin:
            (path,) = (path for _, path in admission.wanted)
            self._view = await self.collab_gate.decisions.view(principal, path)

    def _finish_model(self, model: dict[str, Any], location: bool = True) -> None:
        if self._view is not None:
            model = shown(model, self._view)
        super()._finish_model(model, location)  # type: ignore[no-untyped-call]


def shown(model: dict[str, Any], view: View) -> dict[str, Any]:
    """Return what of a contents model is to be seen."""
    model = {**model, "writable": _writable(model, view)}
    if model["type"] == "directory" and model["content"] is not None:
        model["content"] = [
            {**entry, "writable": _writable(entry, view)}
            for entry in model["content"]
            if view.shows(entry["path"])
        ]
    return model


def _writable(model: dict[str, Any], view: View) -> bool:
    return bool(model["writable"]) and view.writable(model["path"])


class SafeNbconvertHandler(Admitted, NbconvertFileHandler):
    """``/nbconvert/{format}/{path}``: in formats that are safe to make of a stranger's text."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse what is not safe."""
        await super().prepare()
        admission = self.collab_admission
        if admission is None or self._finished or admission.principal.is_admin:
            return
        if self.path_kwargs["format"] not in SAFE_FORMATS:
            raise AdminRequired(
                "Only an admin of this server may convert to this format; choose one of "
                f"{', '.join(sorted(SAFE_FORMATS))}."
            )
