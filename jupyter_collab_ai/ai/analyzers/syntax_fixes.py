"""Changes that make a line of Python parse, where there is hardly a doubt what was meant. Pure.

They are tried on a copy like every other fix, so that a wrong guess is never called verified.
"""

from __future__ import annotations

import re

from jupyter_collab_ai.ai.findings import Edit, Fix
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.snapshot import Part

_HEADER = re.compile(
    r"\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|try|except|finally|with|match|case)\b"
)
_CONDITION = re.compile(r"(\s*(?:if|elif|while)\b[^=!<>:]*[^=!<>:\s])(\s*)=(?!=)")
_PRINT = re.compile(r"\s*(print|exec)\s+(?P<what>[^#(\s][^#\n]*)$")
_CLOSER = {"(": ")", "[": "]", "{": "}"}


def propose(part: Part, line: int, message: str) -> Fix | None:
    """Return a change of a line that does not parse, or None where none suggests itself.

    Args:
        part: The text.
        line: The line of the mistake, from 1.
        message: What CPython says of it.
    """
    span = part.lines.span(line)
    text = span.of(part.source)
    said = message.lower()
    if "#" in text or not text.strip() or text.rstrip().endswith("\\"):
        return None
    end = span.start + len(text.rstrip())
    if "expected ':'" in said and _HEADER.match(text):
        return _fix(part, Span(end, end), ":", "Put the colon at the end of the line")
    if "maybe you meant '=='" in said and (match := _CONDITION.match(text)):
        at = span.start + match.end() - 1
        return _fix(part, Span(at, at + 1), "==", "Compare with == instead of assigning")
    if "missing parentheses in call to" in said and (match := _PRINT.match(text)):
        start = span.start + match.end(1)
        what = match["what"].rstrip()
        return _fix(part, Span(start, end), f"({what})", "Put brackets around what is given to it")
    closer = _CLOSER.get(message[1:2]) if "was never closed" in said else None
    if closer and text.rstrip()[-1] not in ",([{:=+-*/":
        # Where it should be closed is a guess.
        return _fix(part, Span(end, end), closer, f"Close it with {closer} at the end", safe=False)
    return None


def _fix(part: Part, span: Span, new: str, description: str, *, safe: bool = True) -> Fix:
    edit = Edit(part.lines.location(span, part.cell_id), new)
    return Fix(description, (edit,), safe=safe)
