"""Finding secrets in code by their form. Pure.

What counts is told from the form: the prefixes that issuers give their keys, private keys in PEM
(RFC 7468), passwords in URLs, what stands in headers of HTTP, values that are given to names such
as ``password`` or ``api_key``, and long random words in quotes. Each form is looked for in time
that grows with the text and no faster: every repetition is bounded, or begins where no other can.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple


class Place(NamedTuple):
    """Where a secret stands; never over the end of a line, nor over quotes and backslashes."""

    start: int
    end: int


#: Keys whose issuers have given them a form of their own.
_KEYS = re.compile(
    r"""(?<![A-Za-z0-9_])(?:
      (?:AKIA|ASIA)[0-9A-Z]{16}                     # Amazon
    | gh[pousr]_[A-Za-z0-9]{30,255}+                # GitHub
    | github_pat_[A-Za-z0-9_]{40,255}+
    | glpat-[A-Za-z0-9_-]{20,100}+                  # GitLab
    | sk-[A-Za-z0-9_-]{20,255}+                     # OpenAI, Anthropic and others
    | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}+  # Stripe
    | xox[abeoprs]-[A-Za-z0-9-]{10,255}+            # Slack
    | AIza[0-9A-Za-z_-]{35}                         # Google
    | ya29\.[0-9A-Za-z_-]{20,1000}+
    | npm_[A-Za-z0-9]{36}
    | pypi-[A-Za-z0-9_-]{40,400}+
    | hf_[A-Za-z0-9]{30,100}+                       # Hugging Face
    | SG\.[A-Za-z0-9_-]{16,40}+\.[A-Za-z0-9_-]{30,60}+
    | dop_v1_[a-f0-9]{64}
    | django-insecure-[^\s"'\\]{8,100}+
    | (?<!-)eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+    # JWT (RFC 7519)
    )(?![A-Za-z0-9_])""",
    re.VERBOSE,
)
#: Addresses that let in whoever knows them; group 1 what nobody else may.
_HOOKS = re.compile(
    r"(?:hooks\.slack\.com/[a-z]{1,20}/|discord(?:app)?\.com/api/webhooks/)"
    r"([A-Za-z0-9/_-]{10,255})"
)
#: The password in a URL (RFC 3986, section 3.2.1).
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[a-zA-Z][a-zA-Z0-9+.-]{1,20}+://[^\s/:@'\"<>]{0,128}+"
    r":([^\s/@'\"<>\\]{3,256}+)@"
)
#: What is sent to say who somebody is (RFC 9110, section 11.4).
_HEADER = re.compile(
    r"""\bauthorization["']?\]?[ \t]{0,8}[:=,][ \t]{0,8}[bBrRuU]{0,2}["']?
        (?:bearer|basic|token|bot|apikey|key)[ \t]+([A-Za-z0-9._~+/=:-]{8,1000}+)
      | \bbearer[ ]([A-Za-z0-9._~+/=-]{20,1000}+)""",
    re.VERBOSE | re.IGNORECASE,
)
#: Two texts in brackets, of which the second is the password.
_PAIR = re.compile(
    r"""(?:\bauth[ ]?=[ ]?|BasicAuth|DigestAuth|\.login)\([ ]?["'][^"'\n]{0,100}["'],[ ]?
        [bBrRuU]{0,2}(["'])([^"'\s\\]{4,256}+)\1[ ]?\)""",
    re.VERBOSE,
)
#: The end of a name that tells that its value is secret.
_WORDS = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|pw|secret(?:[_-]?(?:access[_-]?)?key(?:_base)?)?|token"
    r"|(?:api|access|account|auth|private|signing|encryption)[_-]?key|credentials?)_?\d{0,2}"
)
_ANY_WORD = re.compile(_WORDS, re.IGNORECASE)
_NAME = re.compile(rf"{_WORDS}$", re.IGNORECASE)
#: A value in quotes that is given to a name, compared with it, or told beside it: group 1 the
#: word, 2 what joins the two, 3 the quotes. The value begins where this ends.
_NAMED = re.compile(
    rf"""({_WORDS})["']?\]?\s{{0,8}}+
        (==|!=|=>|:=|=|,|:(?:[ ]?[A-Za-z][\w.\[\],\ |]{{0,60}}+=)?)\s{{0,8}}+
        [bBrRuU]{{0,2}}(\"\"\"|\'\'\'|"|'|`)""",
    re.VERBOSE | re.IGNORECASE,
)
#: A value in quotes that is taken where there is no other.
_ELSE = re.compile(
    rf"""({_WORDS})["']?\]?[ ]{{0,8}}+(?::[ ]?[A-Za-z][\w.\[\]]{{0,60}}+[ ]?)?=(?!=)
        [^\n\#]{{1,200}}?(\bor|\|\||\?\?)[ ][bBrRuU]{{0,2}}("|'|`)""",
    re.VERBOSE | re.IGNORECASE,
)
#: The same without quotes, on a line of its own, as in ``.env`` files, shells and YAML.
_BARE = re.compile(
    r"""[ \t]*(?:-[ ])?((?:!?export|%env|%set_env|ENV|ARG|set|SET)[ \t]+)?
        ([A-Za-z_][\w.-]{0,60}+)([ ]?=[ ]?|:[ ]+)([^\s'"`\\,;()\[\]{}<>]{4,512}+)
        [ \t]*(?:\#.*)?\r?$""",
    re.VERBOSE,
)
#: The same within a text: of a connection, of a URL's query, of a command.
_WITHIN = re.compile(
    rf"""(?<=[;?&\s"'`-])((?:[\w.]{{0,40}}[_.-])?{_WORDS})=([^\s;&"'`\\\#,()\[\]{{}}<>]{{4,512}}+)
        (?=[;&"'`\s]|$)""",
    re.VERBOSE | re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?:pass(?:word|wd|phrase|code)?|pwd|pw)_?\d{0,2}$", re.IGNORECASE)
_TOKEN = re.compile(r"token_?\d{0,2}$", re.IGNORECASE)
#: Functions that are given a name, and what to take where there is nothing.
_GETS = re.compile(r"(?:getenv|get|pop|setdefault)\(\s{0,8}[\"'][\w.-]{0,60}$")
_BEFORE = re.compile(r"[\w.-]{0,60}$")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}+(?<=PRIVATE KEY)-----")
_PEM_LINE = re.compile(r"[A-Za-z0-9+/=]{16,128}")
#: Characters of a private key.
_LONGEST_PEM = 16_000
#: Long words in quotes; those that look random count.
_RANDOM = re.compile(r"([\"'])([A-Za-z0-9+/_=-]{40,512}+)\1")
#: Bits a character from which on a long word looks random; English has about four, with words
#: joined by underscores, and base64 of random bytes nearly six.
_RANDOM_BITS = 4.6
_VALUES = {
    quotes: re.compile(rf"(?:[^{quotes}\\\n]|\\.){{4,512}}+(?={quotes})") for quotes in "\"'`"
}
_LONGEST_VALUE = 512
_PIECE = re.compile(r"[^\"'`\\]+")
#: What stands for a value that is not there, such as ``${PASSWORD}``.
_STANDS_FOR = re.compile(r"\{[^{}]*\}|<[\w -]*>|\$\{|\$\(|%\(|\(\)")
#: Kinds of values of some languages that have digits in their names.
_TYPE = re.compile(r"[A-Za-z]{1,12}(?:8|16|32|64|128|256)(?:_t)?$")
_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")
#: Words of what people are told about passwords, and of other names of the kind.
_TOLD = re.compile(
    r"pass|secret|token|credential|key|\b(?:enter|your|please|must|required|invalid|wrong|the|is"
    r"|are|not|for|of|to|an?|type|new|old|no)\b",
    re.IGNORECASE,
)


def places_of_secrets(text: str) -> Iterator[Place]:
    """Return where secrets stand in a text; places may overlap, and come in no order."""
    at = 0
    for line in text.split("\n"):
        for start, end in _in_line(line):
            yield Place(at + start, at + end)
        at += len(line) + 1
    for begin in _PEM.finditer(text):
        # Two dashes and more stand in no key.
        end = text.find("-----", begin.end(), begin.end() + _LONGEST_PEM)
        if end >= 0 and text.startswith("-----END ", end):
            for match in _PEM_LINE.finditer(text, begin.end(), end):
                yield Place(*match.span())


def _in_line(line: str) -> Iterator[tuple[int, int]]:
    for match in _KEYS.finditer(line):
        yield match.span()
    for match in _RANDOM.finditer(line):
        if _looks_random(match[2]):
            yield match.span(2)
    if "/" in line:
        for match in _HOOKS.finditer(line):
            yield match.span(1)
        for match in _URL.finditer(line):
            if not _is_placeholder(match[1]):
                yield match.span(1)
    for match in _HEADER.finditer(line):
        group = 1 if match[1] else 2
        if _is_mixed(match[group]):
            yield match.span(group)
    if "(" in line:
        for match in _PAIR.finditer(line):
            if not _is_placeholder(match[2]):
                yield match.span(2)
    if _ANY_WORD.search(line):
        yield from _named(line)


def _named(line: str) -> Iterator[tuple[int, int]]:
    for pattern in (_NAMED, _ELSE):
        for match in pattern.finditer(line):
            start, end = _value(line, match.end(), match[3])
            if end > start and _is_given(line, match, line[start:end]):
                # What has to be escaped stays, or it would not be the same in other places.
                for piece in _PIECE.finditer(line, start, end):
                    yield piece.span()
    bare = _BARE.match(line)
    if bare is not None and _is_bare(line, bare):
        yield bare.span(4)
    for match in _WITHIN.finditer(line):
        if _is_within(line, match):
            yield match.span(2)


def _value(line: str, start: int, quotes: str) -> tuple[int, int]:
    """Return where a value in quotes is that begins there; nothing where it does not end."""
    if len(quotes) == 3:
        return start, line.find(quotes, start, start + _LONGEST_VALUE)
    match = _VALUES[quotes].match(line, start)
    return match.span() if match else (start, start)


def _is_given(line: str, match: re.Match[str], value: str) -> bool:
    before = _BEFORE.search(line, max(0, match.start() - 60), match.start())
    name = f"{before[0] if before else ''}{match[1]}"
    if not _is_name(name, match[1]):
        return False
    joined, between = match[2], match[0]
    if between.count("(") != between.count(")") and joined in ("or", "||", "??"):
        return False  # in place of something else
    compared = joined in ("==", "!=")
    if compared and _TOKEN.search(name):
        return False  # of a language, most likely
    if joined == ",":
        quoted = line[match.end(1) : match.end(1) + 1] in ("'", '"')
        start = match.start()
        if not quoted or not _GETS.search(line, max(0, start - 80), start):
            return False
    return _is_secret(name, value)


def _is_bare(line: str, match: re.Match[str]) -> bool:
    exported, name, sign, value = match.groups()
    if not _is_name(name, name) or _is_placeholder(value) or value[0] in ":@?&|*=":
        return False
    password = _PASSWORD.search(name) is not None
    if exported:
        return password or _is_mixed(value)
    if _ATTRIBUTE.match(value) or _TYPE.match(value):
        return False
    if sign == "=" and name.isupper() and password:
        return len(value) >= 8 or _is_mixed(value)
    # A line of code looks the same, but for what is given.
    spaced = sign == " = " and not (_kinds(value) == 3 and len(value) >= 8 and password)
    indented = sign == "=" and line[:1].isspace()
    if spaced or indented or sign in (" =", "= ") or _TOLD.search(value):
        return False
    return _is_mixed(value) and len(value) >= (6 if password else 12)


def _is_within(line: str, match: re.Match[str]) -> bool:
    name, value = match.groups()
    if not _is_name(name, name) or _is_placeholder(value) or value[0] in ":@?=":
        return False
    before, after = line[match.start() - 1], line[match.end() : match.end() + 1]
    sure = (
        before in ";?&" or after in (";", "&", '"', "'", "`") or line[: match.end()].count("'") % 2
    )
    if not sure and (not line[: match.start()].strip() or _ATTRIBUTE.match(value)):
        return False
    if not _PASSWORD.search(name):
        return len(value) >= 8 and _is_mixed(value)
    return bool(sure) or (_is_mixed(value) and not _TOLD.search(value))


def _is_name(name: str, word: str) -> bool:
    """Tell whether a name means a secret; ``compass`` means none."""
    found = _NAME.search(name)
    if found is None:
        return False
    short = found[0].rstrip("_0123456789").lower() in ("pass", "pw", "pwd")
    before = name[: found.start()][-1:]
    own = not before.isalpha() or (before.islower() and found[0][0].isupper())
    return bool(word) and (own or not short)


def _is_secret(name: str, value: str) -> bool:
    if not 4 <= len(value) <= _LONGEST_VALUE or _is_placeholder(value):
        return False
    if _PASSWORD.search(name):
        if " " in value.strip():
            # Words that are a password, and none about one.
            return bool(re.fullmatch(r"[a-z0-9]+(?: [a-z0-9]+){1,9}", value)) and not (
                _TOLD.search(value)
            )
        return not value.isspace() and value.lower() != name.rpartition(".")[2].lower()
    # A token may be one of a language, and a secret the name of a thing: those are words.
    return len(value) >= 8 and not re.search(r"[\s{<(]", value) and _is_mixed(value)


def _is_mixed(value: str) -> bool:
    """Tell whether a value has digits and letters, or else both kinds of letters, being long."""
    letters = any(character.isalpha() for character in value)
    if letters and any(character.isdigit() for character in value):
        return True
    return len(value) >= 20 and _kinds(value) >= 2 and "_" not in value and _bits(value) >= 4


def _is_placeholder(value: str) -> bool:
    """Tell whether a value stands for another that is not there, such as ``${PASSWORD}``."""
    return (
        value[0] in "<{$%["
        or set(value) <= set("*xX.-_")
        or value.startswith("MASKED_SECRET_")
        or _STANDS_FOR.search(value) is not None
    )


def _kinds(value: str) -> int:
    kinds = (str.islower, str.isupper, str.isdigit)
    return sum(any(kind(character) for character in value) for kind in kinds)


def _looks_random(value: str) -> bool:
    return _kinds(value) == 3 and _bits(value) >= _RANDOM_BITS


def _bits(value: str) -> float:
    """Return the entropy of a word's characters, in bits a character (Shannon)."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())
