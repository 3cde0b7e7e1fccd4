"""What does not parse as SQL, in any of the dialects that people use; behind :mod:`.worker`.

There is no one SQL. A statement is wrong here only if every dialect refuses it, and only the
kinds of statements that the dialects mostly share are judged at all.
"""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

#: From the one that says it best on.
_DIALECTS = (
    *("", "postgres", "mysql", "sqlite", "tsql", "oracle", "duckdb", "snowflake", "bigquery"),
)
_JUDGED = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"})
_MADE = frozenset({"TABLE", "VIEW", "INDEX", "UNIQUE", "TEMP", "TEMPORARY"})
#: First words that are no mistake although they are not judged.
_KNOWN = frozenset(
    (
        *("ALTER", "ANALYZE", "ATTACH", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLUSTER"),
        *("COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE", "DELIMITER", "DENY"),
        *("DESC", "DESCRIBE", "DETACH", "DO", "DROP", "ELSE", "ELSEIF", "ELSIF", "END", "EXEC"),
        *("EXECUTE", "EXPLAIN", "EXPORT", "FETCH", "FLUSH", "FOR", "FOREACH", "FROM", "GET"),
        *("GO", "GRANT", "HANDLER", "IF", "IMPORT", "INSTALL", "ITERATE", "KILL", "LEAVE"),
        *("LISTEN", "LOAD", "LOCK", "LOOP", "MERGE", "MOVE", "NOTIFY", "OPEN", "OPTIMIZE"),
        *("PIVOT", "PRAGMA", "PREPARE", "PRINT", "PUT", "QUALIFY", "RAISE", "REASSIGN"),
        *("REFRESH", "REINDEX", "RELEASE", "REMOVE", "RENAME", "REPEAT", "REPLACE", "RESET"),
        *("RESTORE", "RETURN", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SET", "SHOW"),
        *("SIGNAL", "START", "SUMMARIZE", "TABLE", "THEN", "TRUNCATE", "UNION", "UNLISTEN"),
        *("UNLOAD", "UNPIVOT", "UPSERT", "USE", "VACUUM", "VALUES", "WAITFOR", "WHEN", "WHILE"),
        *("BACKUP", "AUDIT"),
    )
)
_OBJECTS = (
    *("TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "FUNCTION", "PROCEDURE", "TRIGGER"),
    *("SEQUENCE", "USER", "ROLE"),
)
_MOST = 5
_PATIENCE = 5.0


def answer(request: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the mistakes of each text."""
    logging.disable(logging.CRITICAL)
    ends = time.monotonic() + _PATIENCE
    return [_examine(text, ends) for text in request["texts"]]


def _examine(text: str, ends: float) -> list[dict[str, Any]]:
    import sqlglot

    # What psql and sqlite take for themselves.
    lines = [
        "" if line.lstrip().startswith(("\\", ".", "!")) else line for line in text.split("\n")
    ]
    text = "\n".join(lines)
    quote = _open_quote(text)
    if quote is not None:
        return [_at(text, quote, quote + 1, "A quote is opened here and never closed")]
    tokens: list[Any] = []
    for dialect in ("", "mysql", "postgres"):
        try:
            tokens = sqlglot.tokenize(text, read=dialect or None)
            break
        except Exception:  # noqa: S112 - whatever it trips over: the next one is asked
            continue
    found: list[dict[str, Any]] = []
    for statement in _statements(tokens):
        if len(found) >= _MOST or time.monotonic() > ends:
            break
        mistake = _judge(text, statement)
        if mistake is not None:
            found.append(mistake)
    return found


def _statements(tokens: list[Any]) -> Iterator[list[Any]]:
    statement: list[Any] = []
    for token in tokens:
        if token.token_type.name == "SEMICOLON":
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


def _judge(text: str, statement: list[Any]) -> dict[str, Any] | None:
    words = [token.text.upper() for token in statement[:4]]
    first = words[0]
    if not (first[:1].isalpha() or first[:1] in "@#$"):
        return _refused(text, statement[0].start, statement[-1].end + 1)
    if first not in _JUDGED and first not in _KNOWN:
        if len(words) > 1 and (words[1].isalpha() or words[1] in '*"`['):
            return _misspelt(text, statement[0], [*_JUDGED, "CREATE", "ALTER", "DROP"])
        return None
    if first in ("CREATE", "ALTER", "DROP") and len(words) > 1:
        if words[1] not in _OBJECTS:
            wrong = _misspelt(text, statement[1], _OBJECTS)
            if wrong is not None:
                return wrong
        if words[1] not in _MADE:
            return None
        if first != "CREATE":
            return None
    elif first not in _JUDGED:
        return None
    comma = _idle_comma(statement)
    if comma is not None:
        message = "A comma stands before nothing; most databases refuse that"
        return _at(text, comma.start, comma.end + 1, message)
    return _refused(text, statement[0].start, statement[-1].end + 1)


def _misspelt(text: str, token: Any, words: Any) -> dict[str, Any] | None:
    said = token.text.upper()
    if not said.isalpha() or said in words:
        return None
    near = difflib.get_close_matches(said, list(words), 1, 0.75)
    if not near:
        return None
    message = f"{token.text} is no word of SQL; perhaps {near[0]} is meant"
    return _at(text, token.start, token.end + 1, message)


def _idle_comma(statement: list[Any]) -> Any:
    for token, after in pairwise(statement):
        if token.token_type.name == "COMMA" and after.token_type.name in ("FROM", "WHERE"):
            return token
    if statement[0].text.upper() == "CREATE":
        for token, after in pairwise(statement):
            if token.token_type.name == "COMMA" and after.token_type.name == "R_PAREN":
                return token
    return None


def _refused(text: str, start: int, end: int) -> dict[str, Any] | None:
    import sqlglot
    from sqlglot.errors import ParseError

    statement = text[start:end]
    first: dict[str, Any] | None = None
    for dialect in _DIALECTS:
        try:
            sqlglot.parse(statement, read=dialect or None)
        except ParseError as error:
            if first is None:
                first = _of(text, start, statement, error)
        except RecursionError:
            return _at(text, start, start + 1, "It is nested too deeply to be read")
        except Exception:
            return None
        else:
            return None
    return first


def _of(text: str, start: int, statement: str, error: Any) -> dict[str, Any]:
    known = error.errors[0] if error.errors else {}
    line, column = known.get("line") or 1, known.get("col") or 1
    highlight = known.get("highlight") or ""
    rows = statement.split("\n")
    line = min(max(line, 1), len(rows))
    offset = sum(len(row) + 1 for row in rows[: line - 1])
    # The column is where the token ends.
    last = offset + min(max(column, 1), len(rows[line - 1]))
    at = max(offset, last - max(len(highlight), 1))
    description = str(known.get("description") or "")
    if description.startswith("Expecting"):
        message = f"{description.rstrip('.')} before “{highlight}”" if highlight else description
    elif "Required keyword" in description:
        message = (
            f"Something is missing near “{highlight}”" if highlight else "Something is missing"
        )
    else:
        message = f"“{highlight}” can't stand here" if highlight else "This can't be read as SQL"
    return _at(text, start + at, start + last, message)


def _open_quote(text: str) -> int | None:
    """Return where a text in single quotes begins that does not end."""
    if "$$" in text or "\\'" in text:
        return None
    at, size = 0, len(text)
    while at < size:
        two = text[at : at + 2]
        if two in ("--", "/*"):
            end = text.find("\n" if two == "--" else "*/", at)
            at = size if end < 0 else end + (1 if two == "--" else 2)
        elif text[at] in "'\"`":
            quote = text[at]
            end = text.find(quote, at + 1)
            if end < 0:
                return at
            # A quote that runs over several statements was rather closed by the next one's.
            if quote == "'" and "\n" in text[at:end] and ";" in text[at:end]:
                return at
            at = end + 1
        else:
            at += 1
    return None


def _at(text: str, start: int, end: int, message: str) -> dict[str, Any]:
    start, end = min(start, len(text)), min(max(end, start), len(text))
    line = text.count("\n", 0, start)
    end_line = text.count("\n", 0, end)
    return {
        "line": line + 1,
        "column": start - text.rfind("\n", 0, start),
        "end_line": end_line + 1,
        "end_column": end - text.rfind("\n", 0, end),
        "kind": "message",
        "what": message,
    }
