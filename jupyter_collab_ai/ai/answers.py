"""Reading what a model answers: strict about what it means, patient about its form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from jupyter_collab_ai.ai.blocks import Change, changes, fenced
from jupyter_collab_ai.ai.edits import find_all, find_quote
from jupyter_collab_ai.ai.findings import MODEL, Category, Edit, Finding, Fix, Severity
from jupyter_collab_ai.ai.locations import NoSuchPlace, Span, visible
from jupyter_collab_ai.ai.masking import Masks
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

#: What a model says can never be as sure as what a parser says.
MOST_CONFIDENCE = 0.85
#: A place that was told by its number alone may well be wrong.
UNQUOTED_CONFIDENCE = 0.4
MOST_FINDINGS = 50

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_NUMBERED = re.compile(r"^ *\d+\| ?")
#: What may be half of a character in JSON.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_OPEN_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})", re.MULTILINE)


M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", Category, Severity)


class Unusable(ValueError):
    """The answer is not what was asked for; the message tells the model what is wrong."""


# ---------------------------------------------------------------- a review


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class ReviewFix(_Lenient):
    """A change that the model proposes, as text to be found and what takes its place."""

    description: str = Field(default="", max_length=2000)
    search: str = Field(
        validation_alias=AliasChoices("search", "old", "before", "find"), max_length=50_000
    )
    replace: str = Field(
        validation_alias=AliasChoices("replace", "new", "after", "replacement"), max_length=50_000
    )


class ReviewFinding(_Lenient):
    """One fault, as the model tells it."""

    title: str = Field(validation_alias=AliasChoices("title", "name", "message"), min_length=1)
    explanation: str = Field(
        default="", validation_alias=AliasChoices("explanation", "description", "detail", "why")
    )
    category: str = Field(default="bug", validation_alias=AliasChoices("category", "type", "kind"))
    severity: str = "warning"
    cell: int | str | None = Field(
        default=None, validation_alias=AliasChoices("cell", "cell_id", "cell_number")
    )
    line: int | None = Field(
        default=None, validation_alias=AliasChoices("line", "line_number", "start_line", "lineno")
    )
    quote: str = Field(
        default="", validation_alias=AliasChoices("quote", "code", "snippet", "text", "excerpt")
    )
    confidence: float = 0.5
    cwe: str | None = None
    fix: ReviewFix | None = None

    @field_validator("fix", mode="before")
    @classmethod
    def _fix_or_none(cls, value: object) -> object:
        # A fix of another form costs the fix, not the finding.
        try:
            return ReviewFix.model_validate(value)
        except ValidationError:
            return None

    @field_validator("quote", "explanation", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return "" if value is None else value


class Assessment(_Lenient):
    """What the model thinks of a finding of an analyzer."""

    finding: str
    verdict: str
    reason: str = ""
    fix_is_right: bool | None = None


@dataclass(frozen=True)
class Review:
    """What the model answered, as far as it can be understood."""

    summary: str
    findings: tuple[ReviewFinding, ...]
    assessments: tuple[Assessment, ...]


def hide_secrets(review: Review, masks: Masks) -> Review:
    """Take secrets out of what people are told; quotes and fixes need them."""

    def hidden(finding: ReviewFinding) -> ReviewFinding:
        fix = finding.fix
        if fix is not None:
            fix = fix.model_copy(update={"description": masks.hide(fix.description)})
        told = {"title": masks.hide(finding.title), "explanation": masks.hide(finding.explanation)}
        return finding.model_copy(update={**told, "fix": fix})

    return Review(
        masks.hide(review.summary),
        tuple(map(hidden, review.findings)),
        tuple(
            one.model_copy(update={"reason": masks.hide(one.reason)}) for one in review.assessments
        ),
    )


def parse_review(answer: str) -> Review:
    """Read the answer to :func:`~.prompts.review`; findings that make no sense are left out.

    Raises:
        Unusable: It is not the JSON that was asked for.
    """
    # Changes stand outside of the JSON.
    blocks, rest = changes(answer.replace("\r\n", "\n"))
    data = _json(rest if blocks else answer)
    if isinstance(data, list):
        data = {"findings": data}
    if not isinstance(data, Mapping):
        raise Unusable("it has to be a JSON object.")
    findings = next(
        (data[key] for key in ("findings", "issues", "bugs", "problems") if key in data), None
    )
    if not isinstance(findings, list):
        raise Unusable('it has no list "findings".')
    findings = [_with_block(one, blocks.get(number)) for number, one in enumerate(findings, 1)]
    summary = data.get("summary")
    assessments = data.get("assessments")
    return Review(
        " ".join(summary.split())[:1000] if isinstance(summary, str) else "",
        tuple(_valid(ReviewFinding, findings[:MOST_FINDINGS])),
        tuple(_valid(Assessment, assessments[:200] if isinstance(assessments, list) else [])),
    )


def _with_block(finding: Any, block: Change | None) -> Any:
    if block is None or not isinstance(finding, Mapping) or finding.get("fix"):
        return finding
    fix = {"search": block.search.rstrip("\n"), "replace": block.replace.rstrip("\n")}
    return {**finding, "fix": fix}


def _json(answer: str) -> Any:
    text = _THOUGHT.sub("", answer).strip()
    candidates = [text, *(block.code for block in fenced(text)[:1])]
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            candidates.append(text[start : end + 1])
    for candidate in candidates:
        try:
            # Small models put line ends into strings as they are, also under a grammar.
            data = json.loads(candidate, strict=False)
            if _HALF.search(candidate):
                json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unusable("it holds half of a character.") from None
        except (ValueError, RecursionError):
            continue
        return data
    raise Unusable("it can't be read as JSON.")


def _valid(model: type[M], items: list[Any]) -> list[M]:
    valid: list[M] = []
    for item in items:
        try:
            valid.append(model.model_validate(item))
        except ValidationError:
            continue
    return valid


def place_finding(snapshot: DocumentSnapshot, told: ReviewFinding) -> Finding | None:
    """Return a finding where its text really is, or None where there is no such text."""
    parts = _parts(snapshot, told.cell)
    quote = _unnumbered(told.quote)
    confidence = told.confidence if math.isfinite(told.confidence) else 0.5
    confidence = min(max(confidence, 0.0), MOST_CONFIDENCE)
    if quote.strip():
        found = find_quote(parts, quote, line=told.line) or find_quote(
            snapshot.parts, quote, line=told.line
        )
        if found is None:
            return None
        part, span = found
    else:
        # Without a quote a number has to do, where there is such a line with something on it.
        if told.line is None or len(parts) != 1:
            return None
        part = parts[0]
        try:
            span = part.lines.span(told.line)
        except NoSuchPlace:
            return None
        if not span.of(part.source).strip():
            return None
        confidence = min(confidence, UNQUOTED_CONFIDENCE)
    span = visible(part.source, span)
    title = " ".join(told.title.split())[:200]
    return Finding(
        _member(Category, told.category, Category.BUG),
        _member(Severity, told.severity, Severity.WARNING),
        title,
        told.explanation.strip()[:4000] or f"{title}.",
        part.lines.location(span, part.cell_id),
        MODEL,
        confidence,
        cwe=told.cwe if told.cwe and re.fullmatch(r"CWE-\d{1,5}", told.cwe) else None,
        fix=_fix(part, span, told.fix),
    )


def _unnumbered(text: str) -> str:
    """Take the line numbers away that the model was shown, where it has copied them too."""
    lines = text.split("\n")
    if not all(_NUMBERED.match(line) for line in lines if line.strip()):
        return text
    return "\n".join(_NUMBERED.sub("", line) for line in lines)


def _parts(snapshot: DocumentSnapshot, cell: int | str | None) -> tuple[Part, ...]:
    if not snapshot.is_notebook or cell is None:
        return snapshot.parts
    text = str(cell)
    for number, part in enumerate(snapshot.parts, 1):
        if text in (str(number), part.cell_id):
            return (part,)
    return snapshot.parts


def _fix(part: Part, span: Span, told: ReviewFix | None) -> Fix | None:
    if told is None:
        return None
    search, replace = _unnumbered(told.search), _unnumbered(told.replace)
    if search == replace or not search.strip():
        return None
    places = find_all(part.source, search)
    if len(places) > 1:
        # The one that the finding is about, if it is one.
        places = [place for place in places if place.start < span.end and span.start < place.end]
    if len(places) != 1:
        return None
    description = " ".join(told.description.split())[:500] or "Replace the text"
    edit = Edit(part.lines.location(places[0], part.cell_id), replace)
    return Fix(description, (edit,), by_model=True)


def _member(enum: type[E], value: str, default: E) -> E:
    try:
        return enum(value.strip().lower())
    except ValueError:
        return default


# ---------------------------------------------------------------- code


@dataclass(frozen=True)
class Code:
    """Code that a model wrote, and what it said about it."""

    code: str
    explanation: str
    #: Whether it stood in a fenced block; bare text may also be no code at all.
    fenced: bool


def parse_code(answer: str, language: str) -> Code:
    """Read an answer that is bare code or one fenced block.

    Raises:
        Unusable: It holds several blocks, or one that does not end.
    """
    text = _THOUGHT.sub("", answer).replace("\r\n", "\n")
    blocks = fenced(text)
    if len(blocks) > 1:
        tagged = [block for block in blocks if block.info.strip().lower().startswith(language)]
        if len(tagged) != 1:
            raise Unusable("it holds several code blocks.")
        blocks = tagged
    if not blocks:
        if _OPEN_FENCE.search(text):
            raise Unusable("its code block does not end.")
        code = text.strip("\n").rstrip()
        if not code.strip():
            raise Unusable("it is empty.")
        return Code(f"{code}\n", "", fenced=False)
    (block,) = blocks
    code = block.code.strip("\n").rstrip()
    if not code.strip():
        raise Unusable("its code block is empty.")
    outside = f"{text[: block.start]}\n{text[block.end :]}"
    if _OPEN_FENCE.search(outside) and not fenced(outside):
        raise Unusable("a code block in it does not end.")
    explanation = "\n".join(line.rstrip() for line in outside.strip().split("\n"))
    return Code(f"{code}\n", explanation.strip()[:4000], fenced=True)


def parse_cells(answer: str, language: str, key: str, shown: str) -> Code:
    """Read an answer that is a whole notebook, whose cells begin with marks.

    A notebook's text may hold fences of its own: the block ends where it must, or it is refused.

    Args:
        answer: The answer.
        language: Of the notebook.
        key: The word in the marks.
        shown: The notebook as the model was given it.

    Raises:
        Unusable: It can't be told where the block ends, or which are the cells.
    """
    text = _THOUGHT.sub("", answer)
    if "\r" not in shown:
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    first = next((row for row, line in enumerate(lines) if key and key in line), None)
    if first is None:
        if _OPEN_FENCE.search(shown):
            raise Unusable("its cells don't begin with their lines as they were shown.")
        return parse_code(answer, language)
    before = [row for row in range(first) if _OPEN_FENCE.match(lines[row])]
    if len(before) % 2 == 0:
        code = "\n".join(lines[first:])
        return Code(f"{code}\n", "\n".join(lines[:first]).strip()[:4000], fenced=False)
    begin = before[-1]
    opening = lines[begin].strip()
    fence = opening[: len(opening) - len(opening.lstrip(opening[0]))]
    inside = [row for row in range(first, len(lines)) if lines[row].strip().startswith(fence)]
    known = [line.strip() for line in shown.split("\n") if line.strip().startswith(fence)]
    if not inside:
        raise Unusable("its code block does not end.")
    end = inside[-1]
    same = [lines[row].strip() for row in inside[:-1]] == known
    if not same or lines[end].strip().strip(fence[0]):
        raise Unusable(f"fence the block with {fence_for(text, shown)}, as there are fences in it.")
    code = "\n".join(lines[begin + 1 : end])
    outside = "\n".join([*lines[:begin], *lines[end + 1 :]])
    return Code(f"{code}\n", outside.strip()[:4000], fenced=True)


def fence_for(*texts: str) -> str:
    """Return a fence that is longer than any in some texts."""
    runs = [len(run) for text in texts for run in re.findall(r"`{3,}|~{3,}", text)]
    return "`" * max([3, *(length + 1 for length in runs)])


def partial_code(text: str) -> str:
    """Return what is code of an answer that is still growing, to be shown."""
    opening = _OPEN_FENCE.search(text)
    if opening is None:
        return text
    _, _, code = text[opening.start() :].partition("\n")
    closing = _OPEN_FENCE.search(code)
    return code if closing is None else code[: closing.start()]
