"""One request for each route of the live server, and what the table says should come of it.

What is expected here is worked out from two tables alone, that of the routes and that of the
roles, not by the code that decides: so that the one is held against the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado.routing import RuleRouter
from tornado.web import RequestHandler

from jupyter_collab_ai.access.gate import Gate, Route
from jupyter_collab_ai.access.routes import name_of
from jupyter_collab_ai.access.rules import Rule, Target, Who
from jupyter_collab_ai.sessions.roles import Capability, Role, may
from tests.attack.conftest import FILE, FOLDER, MEMBERS, NOBODIES, SECRET, Live

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What the probe answers with where the gate lets a request through, and nobody else does.
THROUGH = 418

#: Who has which role at a path; admins may do everything everywhere.
ROLES: dict[str, dict[str, Role]] = {
    FILE: {"owner": Role.OWNER, "editor": Role.EDITOR, "viewer": Role.VIEWER},
    # In one's own folder one has an owner's rights.
    SECRET: {"owner": Role.OWNER},
    "secret.py": {},
}
#: What stands for a named part of a pattern; ``path`` is one of :data:`ROLES`.
_NAMED = {
    "checkpoint_id": "checkpoint",
    "kernel_id": "1-1-1-1-1",
    "session_id": "1-1-1-1-1",
    "action": "restart",
    "section_name": "notebook",
    "kernel_name": "python3",
    "format": "html",
    "schema_name": "@jupyterlab/apputils-extension:themes",
    "locale": "en",
    "space_name": "default",
    "language_server": "pylsp",
    "mode": "lab",
    "workspace": "",
    "tree": "",
}
#: Handlers whose one nameless part is a path.
_WITH_PATH = {
    "jupyter_server.base.handlers.AuthenticatedFileHandler": "{path}",
    "jupyter_server_ydoc.handlers.DocSessionHandler": "{path}",
    "notebook.app.TreeHandler": "/{path}",
    "notebook.app.NotebookHandler": "/{path}",
    "notebook.app.FileHandler": "/{path}",
    "jupyter_server_ydoc.handlers.YDocWebSocketHandler": "text:file:{file_id}",
    "jupyter_server_ydoc.handlers.DocForkHandler": "text:file:{file_id}",
    "jupyter_server_ydoc.handlers.UndoRedoHandler": "text:file:{file_id}",
    "jupyter_server_ydoc.handlers.TimelineHandler": "{path}",
}
#: Routes of upstream's that answer nobody: they are registered without what their handler needs,
#: so that each request ends with the connection, before anything of it is looked at.
BROKEN = frozenset({"jupyter_server.base.handlers.PublicStaticFileHandler"})
_PATHS = (
    *(Target.PATH, Target.RAW_PATH, Target.QUERY_PATH, Target.FILE_ID),
    *(Target.ROOM, Target.ROOT_ROOM),
)


@dataclass(frozen=True)
class Cell:
    """One request by anybody, and where it leads to."""

    pattern: str
    handler: str
    method: str
    url: str
    #: About which path it is; None where it is about none.
    path: str | None
    body: dict[str, Any] | None
    rule: Rule
    implemented: bool
    #: Whether it is no handler of Jupyter's kind.
    foreign: bool

    def __str__(self) -> str:
        return f"{self.method} {self.url} ({self.handler.rpartition('.')[2]})"

    def expected(self, who: str) -> int:
        """Return the status by the tables; :data:`THROUGH` where the gate has to let it pass."""
        if self.rule.who is Who.PUBLIC:
            # Tornado refuses a write without an XSRF token first, where Jupyter does not look
            # for an identity in the handler.
            refused = self.foreign and self.method in ("POST", "PUT", "PATCH", "DELETE")
            return 403 if refused else THROUGH
        if not self.implemented:
            return 405
        if self.rule.who is Who.NOBODY:
            return 404
        if self.rule.who is Who.HANDSHAKE:
            return THROUGH
        if who in NOBODIES:
            # A page leads to the sign-in whoever does not say who they are.
            shown = self.rule.page and self.method in ("GET", "HEAD")
            return 302 if shown and who == "anonymous" else 401
        if self.rule.who is Who.ADMIN:
            return THROUGH if who == "admin" else 403
        for need in self.rule.needs:
            refusal = self._refusal(who, need.capability, need.target)
            if refusal is not None:
                return refusal
        return THROUGH

    def _refusal(self, who: str, capability: Capability, target: Target) -> int | None:
        if target in (Target.KERNEL_SESSION, Target.FORK):
            return 404  # there is none of this id, for anybody
        if who == "admin":
            return None
        if target is Target.KERNEL:
            return 403  # it runs for no document
        assert self.path is not None
        role = ROLES[self.path].get(who)
        if may(role, capability):
            return None
        return 403 if may(role, Capability.SEE) else 404


def leaves(router: RuleRouter) -> Iterator[tuple[str, type[RequestHandler]]]:
    """Yield each pattern of the server with its handler, in the router's order."""
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from leaves(rule.target)
        else:
            regex = getattr(rule.matcher, "regex", None)
            assert regex is not None, rule
            assert isinstance(rule.target, type), rule
            yield regex.pattern, rule.target


def cells_of(live: Live, gate: Gate) -> list[Cell]:
    """Return every method of every route of the server, at each kind of path."""
    found = []
    for pattern, handler in dict.fromkeys(leaves(live.app.web_app.default_router)):
        if not pattern.startswith(live.base) and not pattern.startswith("(.*"):
            continue  # robots.txt and the like, beside the base URL
        if name_of(handler) in BROKEN:
            continue
        for method in METHODS:
            found += list(_cells(live, gate.route_of(handler), name_of(handler), pattern, method))
    return found


def _cells(live: Live, route: Route, name: str, pattern: str, method: str) -> Iterator[Cell]:
    rule = route.rule(method)
    about_paths = any(need.target in _PATHS for need in rule.needs)
    about_body = any(need.target is Target.KERNEL_SESSION_BODY for need in rule.needs)
    paths = list(ROLES) if about_paths or about_body else [None]
    for path in paths:
        yield Cell(
            pattern=pattern,
            handler=name_of(route.handler),
            method=method,
            url=_url(live, name, pattern, path or FILE),
            path=path,
            body=_body(rule, path),
            rule=rule,
            implemented=route.implements(method),
            foreign=not issubclass(route.handler, JupyterHandler),
        )


def _body(rule: Rule, path: str | None) -> dict[str, Any] | None:
    targets = {need.target for need in rule.needs}
    if Target.KERNEL_SESSION_BODY in targets:
        return {"path": path, "type": "notebook", "name": "x"}
    if path is None:
        return None
    body: dict[str, Any] = {}
    if Target.BODY_PATH in targets:
        folder = path.rpartition("/")[0]
        body["path"] = f"{folder}/moved.py".lstrip("/")
    if Target.COPY_FROM in targets:
        body["copy_from"] = path
    return body


def _url(live: Live, name: str, pattern: str, path: str) -> str:
    """Return an address that the pattern takes, without the base URL."""
    if pattern.startswith("(.*"):
        return "nothing-is-here"
    rest = pattern.removeprefix(live.base).removesuffix("$").removesuffix("/?")
    file_ids = live.app.web_app.settings["file_id_manager"]
    file_id = file_ids.get_id(path) or file_ids.index(path)
    nameless = _WITH_PATH.get(name, "{nothing}").format(
        path=path, file_id=file_id, nothing=live.session if "sessions/" in rest else "x"
    )
    url = ""
    for part in _parts(rest):
        group = re.match(r"\(\?P<(\w+)>", part)
        if group is not None:
            known = group[1]
            url += f"/{path}" if known == "path" and "[^/]+" in part else _NAMED.get(known, path)
        elif part.startswith("("):
            url += nameless
        else:
            url += part.replace("\\.", ".").replace("/?", "/").replace(".*", "x")
    url = url.replace("\\", "")
    if name.endswith("FileIDHandler") or name.endswith("PathResolverHandler"):
        url += f"?path={path}"
    if name.endswith("FilePathHandler"):
        url += f"?id={file_id}"
    return url


def _parts(pattern: str) -> Iterator[str]:
    """Yield the groups of a pattern, whole, and what stands between them."""
    depth, part = 0, ""
    for at, letter in enumerate(pattern):
        escaped = at > 0 and pattern[at - 1] == "\\"
        if letter == "(" and not escaped:
            if depth == 0 and part:
                yield part
                part = ""
            depth += 1
        part += letter
        if letter == ")" and not escaped:
            depth -= 1
            if depth == 0:
                # With what says how often.
                yield part
                part = ""
        elif depth == 0 and letter == "?" and part == "?":
            part = ""
    if part:
        yield part


__all__ = ["FOLDER", "MEMBERS", "METHODS", "THROUGH", "Cell", "cells_of", "leaves"]
