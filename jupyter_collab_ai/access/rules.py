"""The words in which the table of routes says who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from jupyter_collab_ai.grave import Kind
from jupyter_collab_ai.sessions.roles import Capability


class Who(Enum):
    """Who may make a request at all."""

    #: Everybody, also who is not signed in.
    PUBLIC = "everybody"
    #: Everybody may shake hands; the WebSocket itself tells who can't come in, and why.
    HANDSHAKE = "everybody may shake hands, and is told afterwards"
    #: Every account.
    SIGNED_IN = "every account"
    #: Whoever has what the needs ask for, at the paths that the request is about.
    MEMBER = "whoever may, at the path"
    #: Admins of the server.
    ADMIN = "admins"
    #: Nobody, not even an admin.
    NOBODY = "nobody"


class Target(Enum):
    """Where in a request the path stands that it is about."""

    #: The path in the URL, as the contents manager takes it.
    PATH = "the path in the URL"
    #: The path in the URL, as it is joined to the root folder.
    RAW_PATH = "the path in the URL, as it is written"
    #: ``path`` in the query.
    QUERY_PATH = "path in the query"
    #: ``path`` in the JSON body, if there is one.
    BODY_PATH = "path in the body"
    #: ``copy_from`` in the JSON body, if there is one.
    COPY_FROM = "copy_from in the body"
    #: The file that the id in the query stands for.
    FILE_ID = "the file of the id in the query"
    #: The file that the room's id in the URL stands for: its own, that of which it is a fork or
    #: a timeline, or none where it is the room of who is online.
    ROOM = "the file of the room"
    #: The file that the id of a document's own room in the URL stands for.
    ROOT_ROOM = "the file of the document's room"
    #: The file of which the room in the URL is a fork.
    FORK = "the file of the fork"
    #: The documents that the kernel in the URL runs for.
    KERNEL = "the documents of the kernel"
    #: The document that the kernel session in the URL is for.
    KERNEL_SESSION = "the document of the kernel session"
    #: The document that the kernel session in the body is for, and those of its kernel.
    KERNEL_SESSION_BODY = "the document and the kernel in the body"


class Effect(Enum):
    """What happens to what is at a path, besides being read or changed."""

    NONE = "none"
    #: All of it is read, with all that is in it.
    COPIED = "copied"
    #: It is overwritten as a whole.
    REPLACED = "replaced"
    #: It is no longer there afterwards, but elsewhere.
    MOVED_FROM = "moved from here"
    #: It is there afterwards, and was elsewhere.
    MOVED_TO = "moved to here"
    #: It is no longer there afterwards.
    REMOVED = "removed"


@dataclass(frozen=True)
class Need:
    """What somebody needs to be at the paths of a request."""

    capability: Capability
    target: Target
    effect: Effect = Effect.NONE
    #: Whether folders on the way to what one may see are open too: their listings show no more.
    way: bool = False
    #: What becomes of the sessions at and below the path by it; a grave thing is confirmed.
    becomes: Kind | None = None


@dataclass(frozen=True)
class Rule:
    """Who may call one method of one handler."""

    who: Who
    needs: tuple[Need, ...] = ()
    #: Whether it is a page for people: it redirects to the login and shows errors as pages.
    page: bool = False
    #: A setting of the web application that, where it is false, makes the route public.
    public_unless: str | None = None
    #: Whether the answer lasts, so that it counts as one of the account's connections.
    lasting: bool = False
    #: Whether an open WebSocket is to be ended from outside when its login or right ends.
    watched: bool = False
    #: Whether upstream's own handler would be unsafe, so that only one of ours may answer.
    only_ours: bool = False

    def describe(self) -> str:
        """Return the rule in words, for the documentation."""
        if self.who is not Who.MEMBER:
            return str(self.who.value)
        return "; ".join(
            f"{need.capability.value} at {need.target.value}"
            + (f" ({need.effect.value})" if need.effect is not Effect.NONE else "")
            + (", confirmed where it ends a session" if need.becomes is not None else "")
            for need in self.needs
        )


#: Rules of one handler by HTTP method; ``*`` stands for each method that has none of its own.
Rules = Mapping[str, Rule]

PUBLIC = Rule(Who.PUBLIC)
HANDSHAKE = Rule(Who.HANDSHAKE)
SIGNED_IN = Rule(Who.SIGNED_IN)
PAGE = Rule(Who.SIGNED_IN, page=True)
ADMIN = Rule(Who.ADMIN, watched=True)
NOBODY = Rule(Who.NOBODY)


def member(
    *needs: Need, page: bool = False, watched: bool = False, only_ours: bool = False
) -> Rule:
    """Return the rule that asks for ``needs``."""
    return Rule(Who.MEMBER, needs, page=page, watched=watched, only_ours=only_ours)
