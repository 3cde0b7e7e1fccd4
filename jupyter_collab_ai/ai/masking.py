"""Secrets in code, taken out before it leaves for the model, and put back into what it answers.

Pure. A secret becomes a word of the same kind (:data:`WORD`) that no text holds by itself, the
same secret the same word throughout, so that code that is copied, moved or repaired by the model
still means what it meant. No line is added or taken away, so places stay where they are.

What counts as a secret is told from its form: the prefixes that issuers give their keys, private
keys in PEM (RFC 7468), passwords in URLs, values that are given to names such as ``password`` or
``api_key``, and long random words in quotes. Missed secrets leave; what is taken for one by
mistake is put back in the answer, so that it costs little.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: How a secret is called for the model: what it stands for is told by the number.
WORD = "MASKED_SECRET_{number}_{tag}"

#: What stands for a secret in what is told to people.
HIDDEN = "[secret]"

#: Keys whose issuers have given them a form of their own.
_KEYS = re.compile(
    r"""(?<![A-Za-z0-9_])(?:
      (?:AKIA|ASIA)[0-9A-Z]{16}                     # Amazon
    | gh[pousr]_[A-Za-z0-9]{30,255}                 # GitHub
    | github_pat_[A-Za-z0-9_]{40,255}
    | glpat-[A-Za-z0-9_-]{20,100}                   # GitLab
    | sk-[A-Za-z0-9_-]{20,255}                      # OpenAI, Anthropic and others
    | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}   # Stripe
    | xox[abeoprs]-[A-Za-z0-9-]{10,255}             # Slack
    | AIza[0-9A-Za-z_-]{35}                         # Google
    | ya29\.[0-9A-Za-z_-]{20,1000}
    | npm_[A-Za-z0-9]{36}
    | pypi-[A-Za-z0-9_-]{40,400}
    | hf_[A-Za-z0-9]{30,100}                        # Hugging Face
    | SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{30,60}
    | dop_v1_[a-f0-9]{64}
    | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}    # JWT (RFC 7519)
    )(?![A-Za-z0-9_])""",
    re.VERBOSE,
)
#: The password in a URL (RFC 3986, section 3.2.1).
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>]{0,128}:([^\s/@'\"<>\\]{3,256})@")
#: A value in quotes that is given to a name; group 1 the name, group 3 the value.
_NAMED = re.compile(
    r"""([A-Za-z_][\w.-]{0,60})          # a name
        ["']?\]?\s{0,8}(?:=(?!=)|:=?|=>)\s{0,8}[bBrRuU]{0,2}(["'])
        ([^"'\s\\]{4,512})\2""",
    re.VERBOSE,
)
#: The same without quotes, as in ``.env`` files.
_BARE = re.compile(r"^(?:export\s+)?([A-Z][A-Z0-9_]{2,60})=([^\s'\"#\\]{8,512})$", re.M)
_PASSWORD = re.compile(r"pass(?:word|wd|phrase)?$|pwd$", re.IGNORECASE)
_SECRET = re.compile(
    r"(?:secret|token|api_?key|access_?key|private_?key|auth_?key|signing_?key|credentials?)$"
    r"|secret_?key",
    re.IGNORECASE,
)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----(.{0,16000}?)"
    r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----",
    re.DOTALL,
)
_PEM_LINE = re.compile(r"[A-Za-z0-9+/=]{16,128}")
#: Long words in quotes; those that look random count.
_RANDOM = re.compile(r"([\"'])([A-Za-z0-9+/_=-]{40,512})\1")
#: Characters from which on a secret is nothing else, wherever it stands.
_LONG = 16
#: Bits a character from which on a long word looks random; English has about four, with words
#: joined by underscores, and base64 of random bytes nearly six.
_RANDOM_BITS = 4.6


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
        for word, secret in self.secrets.items():
            text = text.replace(word, secret)
        return text

    def hide(self, text: str) -> str:
        """Take the secrets out of what is told to people, where they need not stand."""
        for secret in sorted(self.secrets.values(), key=len, reverse=True):
            if secret in text:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
        return text


def mask(texts: Sequence[str]) -> tuple[list[str], Masks]:
    """Take the secrets out of texts that belong together; return them, and the way back."""
    found = sorted({secret for text in texts for secret in _secrets(text)}, key=len, reverse=True)
    if not found:
        return list(texts), Masks({})
    tag = _free_tag(texts)
    words = {
        secret: WORD.format(number=number, tag=tag) for number, secret in enumerate(found, start=1)
    }
    # Longer ones first: one may hold another.
    pattern = re.compile("|".join(map(_where, found)))
    masked = [pattern.sub(lambda match: words[match[0]], text) for text in texts]
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
            end = text[-length:]
            if any(word.startswith(end) for word in self._masks.secrets):
                keep = length
                break
        cut = len(text) - keep
        self._kept = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """Return what has waited."""
        kept, self._kept = self._kept, ""
        return kept


def _where(secret: str) -> str:
    """Return a pattern for where a secret is taken out.

    A short one may be a word that means something else elsewhere: a module, a part of a name.
    """
    word = re.escape(secret)
    if len(secret) >= _LONG:
        return rf"(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])"
    return rf"(?<=[\"':=]){word}(?=[\"'@\n]|\Z)"


def _free_tag(texts: Sequence[str]) -> str:
    """Return a tag that makes words that no text holds; the same for the same texts."""
    start, tag = WORD.partition("{")[0], "X"
    while any(start in text and f"_{tag}" in text for text in texts):
        tag += "X"
    return tag


def _secrets(text: str) -> Iterator[str]:
    for match in _KEYS.finditer(text):
        yield match[0]
    for match in _URL.finditer(text):
        if not _is_placeholder(match[1]):
            yield match[1]
    for match in _PEM.finditer(text):
        yield from _PEM_LINE.findall(match[1])
    for match in _NAMED.finditer(text):
        if _is_secret(match[1], match[3]):
            yield match[3]
    for match in _BARE.finditer(text):
        if _is_secret(match[1], match[2]):
            yield match[2]
    for match in _RANDOM.finditer(text):
        if _looks_random(match[2]):
            yield match[2]


def _is_secret(name: str, value: str) -> bool:
    if _is_placeholder(value):
        return False
    if _PASSWORD.search(name):
        return True
    # A token may be one of a language, and a secret the name of a thing: those are words.
    return (
        _SECRET.search(name) is not None
        and len(value) >= 8
        and any(character.isdigit() for character in value)
        and any(character.isalpha() for character in value)
    )


def _is_placeholder(value: str) -> bool:
    """Tell whether a value stands for another that is not there, such as ``${PASSWORD}``."""
    return (
        value[0] in "<{$%["
        or set(value) <= set("*xX.-_")
        or value.startswith(WORD.partition("{")[0])
        or bool(re.search(r"[{<(]", value))
    )


def _looks_random(value: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(kind(character) for character in value) for kind in kinds):
        return False
    return _bits(value) >= _RANDOM_BITS


def _bits(value: str) -> float:
    """Return the entropy of a word's characters, in bits a character (Shannon)."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())
