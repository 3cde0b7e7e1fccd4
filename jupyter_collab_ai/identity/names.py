"""What people are called, and how they look: usernames, display names, colours, initials."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jupyter_collab_ai.errors import FieldError, InvalidRequest, check_all
from jupyter_collab_ai.web.texts import email_address, without_joiners

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
_COLOR = re.compile(r"#[0-9a-f]{6}")

#: Characters that a display name has at the most, and that one may be typed with.
MAX_DISPLAY_NAME = 100
_MOST_TYPED = 4096

#: Cursor colours that can be told apart, and read on light and on dark.
PALETTE = (
    "#0b7285",
    "#1864ab",
    "#2b8a3e",
    "#364fc7",
    "#5c940d",
    "#5f3dc4",
    "#862e9c",
    "#a61e4d",
    "#c92a2a",
    "#d9480f",
    "#087f5b",
    "#9c36b5",
)


def fold_username(username: str) -> str:
    """Return a username as it is compared."""
    return username.casefold()


def check_username(username: str) -> str:
    """Return the folded username.

    Raises:
        InvalidRequest: It can't be one.
    """
    folded = fold_username(username)
    if not _USERNAME.fullmatch(folded):
        raise _invalid(
            "username",
            "A username has 2 to 64 of the characters a-z, 0-9, dot, hyphen and underscore, "
            "and starts with a letter or digit.",
        )
    return folded


def check_display_name(name: str) -> str:
    """Return the name without space around it.

    Raises:
        InvalidRequest: It is empty, too long, or has characters that can't be seen.
    """
    # To bring what is endless into its normal form takes endlessly long.
    cleaned = unicodedata.normalize("NFC", name[:_MOST_TYPED]).strip()
    seen = without_joiners(cleaned)
    if not seen.strip():
        raise _invalid("display_name", "A name has at least one character.")
    if len(cleaned) > MAX_DISPLAY_NAME or len(name) > _MOST_TYPED:
        raise _invalid("display_name", f"A name has at most {MAX_DISPLAY_NAME} characters.")
    if not seen.isprintable():
        raise _invalid("display_name", "This name has characters that can't be shown.")
    return cleaned


def displayable(name: str, otherwise: str) -> str:
    """Return a name as it can be shown, or another one where it can't be."""
    try:
        return check_display_name(name[:MAX_DISPLAY_NAME])
    except InvalidRequest:
        return otherwise


def check_email(email: str) -> str:
    """Return the address without space around it.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return email_address(email)
    except ValueError as error:
        raise _invalid("email", str(error)) from None


def check_color(color: str) -> str:
    """Return the colour in lower case.

    Raises:
        InvalidRequest: It is not a colour of the form ``#rrggbb``.
    """
    folded = color.lower()
    if not _COLOR.fullmatch(folded):
        raise _invalid("color", "A colour is written like #1864ab.")
    return folded


_CHECKS = {"display_name": check_display_name, "email": check_email, "color": check_color}


def check_looks(values: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what was given of an account's looks, as it is kept.

    Raises:
        InvalidRequest: Values can't be used; the error names each.
    """
    checks = [partial(_look, name, value) for name, value in values.items()]
    return dict(zip(values, check_all(*checks), strict=True))


def _look(name: str, value: str | None) -> str | None:
    return None if value is None else _CHECKS[name](value)


def starter_name(system_name: str) -> str:
    """Return the username for a name that the operating system gave somebody."""
    name = re.sub(r"[^a-z0-9._-]+", "-", fold_username(system_name)).strip("._-")[:58]
    if len(name) >= 2:
        return name
    return f"{name}-admin" if name else "admin"


def external_names(issuer: str, subject: str) -> Iterator[str]:
    """Yield the usernames that somebody of another identity provider may get, the best first.

    The name that the provider gives is the first one where it is a username as it stands. The
    others hold a digest of it, so that no two people are led to the same one: not ``Ada`` and
    ``ada``, nor ``ada@a.org`` and ``ada-a.org``.
    """
    if _USERNAME.fullmatch(subject):
        yield subject
    stem = re.sub(r"[^a-z0-9._-]+", "-", fold_username(subject)).strip("._-")[:40] or "user"
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode(errors="surrogatepass")).hexdigest()
    for length in range(8, 24):
        yield f"{stem}-{digest[:length]}"


def color_of(username: str) -> str:
    """Return a colour of the palette, the same one for a name each time."""
    digest = hashlib.sha256(username.encode()).digest()
    return PALETTE[digest[0] % len(PALETTE)]


def initials_of(display_name: str) -> str:
    """Return one or two letters for a name."""
    words = [word for word in re.split(r"[\s._-]+", display_name) if word]
    letters = [word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)]
    return "".join(letters).upper()


def _invalid(field: str, sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, errors=[FieldError(field, sentence)])
