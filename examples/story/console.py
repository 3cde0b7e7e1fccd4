"""What the walkthrough prints, and what stops it."""

from __future__ import annotations


class WalkthroughFailed(Exception):
    """Something was not as it has to be."""


def step(number: int, title: str) -> None:
    """Print the heading of a step."""
    print(f"\n{number}. {title}\n{'=' * (len(title) + 3)}", flush=True)


def tell(sentence: str) -> None:
    """Print what happens next."""
    print(f"\n# {sentence}", flush=True)


def check(condition: bool, what: str, *, seen: object = None) -> None:
    """Print ``what`` if it is so.

    Raises:
        WalkthroughFailed: It is not so; the message says what was seen instead.
    """
    if not condition:
        suffix = "" if seen is None else f"\n      seen: {shorten(repr(seen), 1500)}"
        raise WalkthroughFailed(f"NOT so: {what}{suffix}")
    print(f"  ✓ {what}", flush=True)


def shorten(text: str, length: int = 100) -> str:
    """Cut ``text`` in the middle."""
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]}…{text[-(length // 3) :]}"
