"""Which paths a request is about: each way in which one can be named, in one place."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_server.utils import ensure_async
from tornado.web import HTTPError, RequestHandler

from jupyter_collab_ai.access.ports import SideRooms
from jupyter_collab_ai.access.rules import Target
from jupyter_collab_ai.errors import AdminRequired, FieldError, InvalidRequest, NotFound

#: JupyterLab's room without a document.
LOBBY = "JupyterLab:globalAwareness"
#: Under which name the web application knows the rooms beside the documents.
SIDE_ROOMS = "collab_side_rooms"

_UNKNOWN = "There is no such thing, or it is not shared with you."

Resolver = Callable[[RequestHandler], Awaitable[list[str]]]


async def paths_of(handler: RequestHandler, target: Target) -> list[str]:
    """Return the paths that ``target`` names in a request, as upstream will take them.

    Raises:
        InvalidRequest: The request does not say it in a way that can be understood.
        NotFound: What it names is not known.
        AdminRequired: It names something that belongs to no path.
    """
    return await RESOLVERS[target](handler)


async def _path(handler: RequestHandler) -> list[str]:
    # Contents managers strip slashes themselves.
    return [_in_url(handler).strip("/")]


async def _raw_path(handler: RequestHandler) -> list[str]:
    root = getattr(handler, "root", None)
    top = getattr(handler.settings["contents_manager"], "root_dir", None)
    if isinstance(root, str) and top is not None and not _same_folder(root, top):
        raise AdminRequired("Only an admin may read files outside the server's root.")
    return [_in_url(handler)]


def _same_folder(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _in_url(handler: RequestHandler) -> str:
    if "path" in handler.path_kwargs:
        return handler.path_kwargs["path"] or ""
    return (handler.path_args[0] or "") if handler.path_args else ""


async def _query_path(handler: RequestHandler) -> list[str]:
    return _given(handler, "path")


async def _body_path(handler: RequestHandler) -> list[str]:
    return _named(_body(handler), "path")


async def _copy_from(handler: RequestHandler) -> list[str]:
    body = _body(handler)
    # An empty one is none to upstream.
    return _named(body, "copy_from") if body.get("copy_from") else []


async def _file_id(handler: RequestHandler) -> list[str]:
    return [_path_of_id(handler, each) for each in _given(handler, "id")]


def _given(handler: RequestHandler, name: str) -> list[str]:
    """Return each value that was sent, in the query and as a form: upstream takes one of them."""
    return handler.get_arguments(name) or [""]


async def _room(handler: RequestHandler) -> list[str]:
    room_id = _in_url(handler)
    if room_id == LOBBY:
        return []
    if ":" not in room_id:
        return await _fork(handler)
    return await _root_room(handler)


async def _root_room(handler: RequestHandler) -> list[str]:
    parts = _in_url(handler).split(":", 2)
    if len(parts) != 3:
        raise NotFound(_UNKNOWN)
    return [_path_of_id(handler, parts[2])]


async def _fork(handler: RequestHandler) -> list[str]:
    side_rooms: SideRooms | None = handler.settings.get(SIDE_ROOMS)
    path = None if side_rooms is None else await side_rooms.path_of(_in_url(handler))
    if path is None:
        raise NotFound(_UNKNOWN)
    return [path]


def _path_of_id(handler: RequestHandler, file_id: str) -> str:
    manager = handler.settings.get("file_id_manager")
    path = manager.get_path(file_id) if manager is not None and file_id else None
    if not path:
        raise NotFound(_UNKNOWN)
    return str(path)


async def _kernel(handler: RequestHandler) -> list[str]:
    named = handler.path_kwargs.get("kernel_id") or (handler.path_args or [""])[0]
    return await _paths_of_kernel(handler, named)


async def _paths_of_kernel(handler: RequestHandler, kernel_id: object) -> list[str]:
    sessions = await ensure_async(handler.settings["session_manager"].list_sessions())
    paths = [
        str(session["path"])
        for session in sessions
        if (session.get("kernel") or {}).get("id") == kernel_id
    ]
    if not paths:
        raise AdminRequired("Only an admin may use a kernel that runs for no document.")
    return paths


async def _kernel_session(handler: RequestHandler) -> list[str]:
    session_id = handler.path_kwargs.get("session_id", "")
    manager = handler.settings["session_manager"]
    try:
        session = await ensure_async(manager.get_session(session_id=session_id))
    except HTTPError:
        raise NotFound(_UNKNOWN) from None
    return [str(session["path"])]


async def _kernel_session_body(handler: RequestHandler) -> list[str]:
    body = _body(handler)
    if "notebook" in body:
        raise _invalid("notebook", "Name the document by path instead.")
    paths = _named(body, "path")
    kernel = body.get("kernel")
    if kernel is not None and not isinstance(kernel, dict):
        raise _invalid("kernel", "This has to be an object.")
    if kernel and kernel.get("id") is not None:
        paths += await _paths_of_kernel(handler, kernel["id"])
    return paths


RESOLVERS: Mapping[Target, Resolver] = {
    Target.PATH: _path,
    Target.RAW_PATH: _raw_path,
    Target.QUERY_PATH: _query_path,
    Target.BODY_PATH: _body_path,
    Target.COPY_FROM: _copy_from,
    Target.FILE_ID: _file_id,
    Target.ROOM: _room,
    Target.ROOT_ROOM: _root_room,
    Target.FORK: _fork,
    Target.KERNEL: _kernel,
    Target.KERNEL_SESSION: _kernel_session,
    Target.KERNEL_SESSION_BODY: _kernel_session_body,
}


def _body(handler: RequestHandler) -> dict[str, Any]:
    """Return the body as upstream's ``get_json_body`` reads it; nothing is an empty object."""
    raw = handler.request.body
    if not raw:
        return {}
    try:
        body = json.loads(raw.strip().decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidRequest("The body has to be a JSON object.")
    return body


def _named(body: Mapping[str, Any], field: str) -> list[str]:
    if field not in body:
        return []
    value = body[field]
    if not isinstance(value, str):
        raise _invalid(field, "This has to be text.")
    # Contents managers strip slashes themselves.
    return [value.strip("/")]


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request is not valid: {field}: {problem}", errors=[FieldError(field, problem)]
    )
