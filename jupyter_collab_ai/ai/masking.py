"""Secrets in code, taken out before it leaves for the model, and put back into what it answers.

Pure. A secret becomes a word of the same kind (:data:`WORD`) that no text holds by itself, the
same secret the same word throughout, so that code that is copied, moved or repaired by the model
still means what it meant. No line is added or taken away, so places stay where they are.

Secrets are known by their forms (:mod:`.secrets_found`). Missed ones leave; what is taken for one
by mistake is put back in the answer, so that it costs little. There may be tens of thousands of
them: whatever is done for a text is done in one pass over it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jupyter_collab_ai.ai.secrets_found import Place, places_of_secrets

#: How a secret is called for the model: what it stands for is told by the number.
WORD = "MASKED_SECRET_{number}_{tag}"

#: What stands for a secret in what is told to people.
HIDDEN = "[secret]"

#: Characters from which on a secret is nothing else, wherever it stands, and below which it is
#: taken out where it was found alone.
_LONG = 16
_SHORT = 4
_TOKEN = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Masks:
    """The words that stand for secrets, and the way back."""

    #: The secrets by their words.
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Masks({len(self.secrets)})"

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def restore(self, text: str) -> str:
        """Put the secrets back."""
        if not self.secrets:
            return text
        return self._words.sub(lambda match: self.secrets.get(match[0], match[0]), text)

    def hide(self, text: str) -> str:
        """Take the secrets out of what is told to people, where they need not stand."""
        if not self.secrets:
            return text
        return _replaced(text, self._finder.places(text), lambda _: HIDDEN)

    def may_begin(self, end: str) -> bool:
        """Tell whether a word may begin with these characters and go on."""
        return end in self._beginnings

    @cached_property
    def _words(self) -> re.Pattern[str]:
        tag = next(iter(self.secrets)).rpartition("_")[2]
        return re.compile(WORD.format(number=r"\d{1,9}", tag=tag))

    @cached_property
    def _finder(self) -> _Finder:
        return _Finder(secret for secret in self.secrets.values() if len(secret) >= _SHORT)

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(word[:size] for word in self.secrets for size in range(1, len(word)))


def mask(texts: Sequence[str]) -> tuple[list[str], Masks]:
    """Take the secrets out of texts that belong together; return them, and the way back."""
    sure = [_joined(places_of_secrets(text)) for text in texts]
    found = {
        text[start:end] for text, places in zip(texts, sure, strict=True) for start, end in places
    }
    if not found:
        return list(texts), Masks({})
    # The same secret may stand elsewhere, where nothing tells that it is one.
    finder = _Finder(secret for secret in found if len(secret) >= _SHORT)
    everywhere = [
        _joined([*places, *(one for one in finder.places(text) if _means_it(text, one))])
        for text, places in zip(texts, sure, strict=True)
    ]
    secrets = sorted(
        {
            text[start:end]
            for text, places in zip(texts, everywhere, strict=True)
            for start, end in places
        },
        key=lambda secret: (-len(secret), secret),
    )
    tag = _free_tag(texts)
    words = {
        secret: WORD.format(number=number, tag=tag)
        for number, secret in enumerate(secrets, start=1)
    }
    masked = [
        _replaced(text, places, words.__getitem__)
        for text, places in zip(texts, everywhere, strict=True)
    ]
    return masked, Masks({word: secret for secret, word in words.items()})


class Restorer:
    """Puts secrets back into text that comes in pieces."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._kept = ""
        self._longest = max(map(len, masks.secrets), default=0)

    def feed(self, piece: str) -> str:
        """Return what is certain by now; what may be the beginning of a word waits."""
        text = self._masks.restore(self._kept + piece)
        keep = 0
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if self._masks.may_begin(text[-length:]):
                keep = length
                break
        cut = len(text) - keep
        self._kept = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """Return what has waited."""
        kept, self._kept = self._kept, ""
        return kept


class _Finder:
    """Finds many words in a text at once, where they are not a part of other words."""

    def __init__(self, words: Iterable[str]) -> None:
        #: What may come after what; where a word has ended, nothing may come under "".
        self._tree: dict[str, dict[str, object]] = {}
        for word in words:
            at: dict[str, object] = self._tree  # type: ignore[assignment]
            for token in _TOKEN.findall(word):
                at = at.setdefault(token, {})  # type: ignore[assignment]
            at[""] = True

    def places(self, text: str) -> Iterator[Place]:
        """Return where words stand, the longest at each place; those that overlap are left out."""
        tokens = [match.span() for match in _TOKEN.finditer(text)]
        index = 0
        while index < len(tokens):
            at: dict[str, object] | None = self._tree  # type: ignore[assignment]
            longest = None
            ahead = index
            while at is not None and ahead < len(tokens):
                start, end = tokens[ahead]
                at = at.get(text[start:end])  # type: ignore[assignment]
                ahead += 1
                if at is not None and "" in at:
                    longest = ahead
            if longest is None:
                index += 1
            else:
                yield Place(tokens[index][0], tokens[longest - 1][1])
                index = longest


def _means_it(text: str, place: Place) -> bool:
    """Tell whether a secret is meant where it was not found by its form.

    A short one may be a word that means something else elsewhere: a module, a part of a name.
    """
    start, end = place
    if end - start >= _LONG:
        return True
    after = text[end : end + 1]
    return text[start - 1 : start] in ('"', "'", ":", "=") and after in ("", '"', "'", "@", "\n")


def _joined(places: Iterable[Place]) -> list[Place]:
    """Return places in order, those that overlap as one."""
    joined: list[Place] = []
    for place in sorted(places):
        if joined and place.start < joined[-1].end:
            joined[-1] = Place(joined[-1].start, max(joined[-1].end, place.end))
        else:
            joined.append(place)
    return joined


def _replaced(text: str, places: Iterable[Place], put: Callable[[str], str]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in places:
        pieces += text[at:start], put(text[start:end])
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def _free_tag(texts: Sequence[str]) -> str:
    """Return a tag that makes words that no text holds; the same for the same texts."""
    start = WORD.partition("{")[0]
    if not any(start in text for text in texts):
        return "X"
    for tag in ("X", "XX", "XXX"):
        if not any(f"_{tag}" in text for text in texts):
            return tag
    # A text has no room for all of so many letters.
    taken = {four for text in texts for four in re.findall(r"_([A-Z]{4})", text)}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return next(
        tag for tag in map("".join, itertools.product(letters, repeat=4)) if tag not in taken
    )
