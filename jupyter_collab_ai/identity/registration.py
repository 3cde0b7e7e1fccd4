"""Who may register, decided from where a request comes."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from enum import Enum

#: Headers by which a proxy says that a request came from elsewhere, and how others begin.
FORWARDING = frozenset(
    {
        "forwarded",
        "forwarded-for",
        "via",
        "client-ip",
        "true-client-ip",
        "fastly-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "x-host",
        "x-proxyuser-ip",
        "x-remote-addr",
        "x-remote-ip",
        "x-scheme",
    }
)
FORWARDED = ("x-forwarded", "x-original", "x-originating", "x-real", "cf-")
#: What proxies speak that are told nothing else, such as nginx; browsers and libraries don't.
OLD_HTTP = "HTTP/1.0"


class Registration(Enum):
    """Who may register an account."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


def registration_for(
    configured: Registration | None,
    *,
    listens_on: str,
    peer: str,
    host: str,
    headers: Collection[str],
    version: str,
) -> Registration:
    """Return who may register by this request.

    Where nothing is configured, everybody may who sits at this machine: the server listens
    on loopback alone, and nothing says that the request came from elsewhere. A proxy that
    keeps it to itself can't be told from somebody at this machine.

    Args:
        configured: What the administrator said.
        listens_on: The address that the server listens on.
        peer: The address at the other end of the connection.
        host: The ``Host`` header.
        headers: The names of all headers.
        version: The version of HTTP, such as ``HTTP/1.1``.
    """
    if configured is not None:
        return configured
    names = [name.lower() for name in headers]
    forwarded = version == OLD_HTTP or any(
        name in FORWARDING or name.startswith(FORWARDED) for name in names
    )
    if is_loopback(listens_on) and is_loopback(peer) and is_loopback(_name(host)) and not forwarded:
        return Registration.OPEN
    return Registration.INVITE


def who_may_register(configured: Registration | None, *, listens_on: str) -> str:
    """Return in words who may register, as far as it does not depend on a request.

    Args:
        configured: What the administrator said.
        listens_on: The address that the server listens on.
    """
    if configured is None:
        return "whoever is on this machine" if is_loopback(listens_on) else "whoever is invited"
    return {
        Registration.OPEN: "everybody",
        Registration.INVITE: "whoever is invited",
        Registration.CLOSED: "nobody",
    }[configured]


def is_loopback(host: str) -> bool:
    """Return whether a name or address means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
