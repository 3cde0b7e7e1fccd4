"""What texts of people have to be like, wherever they are given."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

#: Characters that an e-mail address has at the most.
MAX_EMAIL = 254

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
#: Characters that join others, as in Persian words and in emoji; the others of their kind
#: (Unicode's Cf) can make a text look like another one.
_JOINERS = str.maketrans("", "", "\u200c\u200d")


def without_joiners(text: str) -> str:
    """Return the text without what only joins characters."""
    return text.translate(_JOINERS)


def printable(text: str) -> str:
    """Return the text as it is.

    Raises:
        ValueError: It has characters that can't be seen, and so could deceive.
    """
    if not without_joiners(text).isprintable():
        raise ValueError("This has characters that can't be shown.")
    return text


def email_address(text: str) -> str:
    """Return an e-mail address without space around it.

    Raises:
        ValueError: It is none.
    """
    cleaned = text.strip()
    if len(cleaned) > MAX_EMAIL or not _EMAIL.fullmatch(cleaned) or not cleaned.isprintable():
        raise ValueError("This is not an e-mail address.")
    return cleaned


#: How people call what they share, or keep.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(printable),
]
Email = Annotated[str, AfterValidator(email_address)]
