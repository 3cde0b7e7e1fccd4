"""Does it parse? The languages that have a grammar or a parser here, apart from Python and JS."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.workers import Workers, trade_of
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

#: The grammars that are asked, of a language; those after the first are its dialects.
_GRAMMARS: dict[str, tuple[str, ...]] = {
    "c": ("c", "cpp"),
    "cpp": ("cpp",),
    "java": ("java",),
    "go": ("go",),
    "rust": ("rust",),
    "julia": ("julia",),
    "bash": ("bash",),
    "css": ("css",),
    "csharp": ("csharp",),
    "php": ("php",),
    "ruby": ("ruby",),
    "kotlin": ("kotlin",),
    "swift": ("swift",),
    "scala": ("scala",),
    "lua": ("lua",),
}
_MODULES = {"csharp": "c_sharp"}
_NAMES = {
    "c": "C",
    "cpp": "C++",
    "java": "Java",
    "go": "Go",
    "rust": "Rust",
    "julia": "Julia",
    "bash": "The shell",
    "css": "CSS",
    "csharp": "C#",
    "php": "PHP",
    "ruby": "Ruby",
    "kotlin": "Kotlin",
    "swift": "Swift",
    "scala": "Scala",
    "lua": "Lua",
    "r": "R",
    "sql": "The database",
    "yaml": "YAML",
    "toml": "TOML",
}
#: Marks of template languages, in files that are often made by one.
_TEMPLATE = (("{%", "%}"), ("{{", "}}"), ("<%", "%>"))
_OFTEN_TEMPLATES = frozenset({"sql", "yaml", "toml", "css", "bash"})


def _module(grammar: str) -> str:
    return f"tree_sitter_{_MODULES.get(grammar, grammar)}"


class _OfWorker:
    """An analyzer of syntax whose work is done by a worker."""

    name: str
    version: str
    languages: frozenset[str]
    checks_syntax = True

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what does not parse.

        Raises:
            AnalyzerFailed: It can't be told.
        """
        parts = [part for part in snapshot.code() if part.source.strip() and not _magic(part)]
        if not parts:
            return []
        if snapshot.language in _OFTEN_TEMPLATES and any(
            _is_template(part.source) for part in parts
        ):
            raise AnalyzerFailed(
                "The text holds marks of a template language, so its syntax was not checked."
            )
        texts = [part.source.replace("\r", " ") for part in parts]
        answers = await self._ask(snapshot, texts)
        return [
            _finding(self.name, snapshot.language, part, mistake)
            for part, mistakes in zip(parts, answers, strict=True)
            for mistake in mistakes
        ]

    async def _ask(self, snapshot: DocumentSnapshot, texts: list[str], /) -> Any:
        raise NotImplementedError


class TreeSitter(_OfWorker):
    """Languages with a grammar of tree-sitter; those that are installed."""

    name = "tree-sitter"

    def __init__(self, workers: Workers, processes: Processes) -> None:
        super().__init__(workers)
        self._processes = processes
        self.languages = frozenset(
            language for language, names in _GRAMMARS.items() if find_spec(_module(names[0]))
        )
        self.version = version("tree-sitter")

    async def _ask(self, snapshot: DocumentSnapshot, texts: list[str]) -> Any:
        grammars = [
            name for name in _GRAMMARS[snapshot.language] if find_spec(_module(name)) is not None
        ]
        trade = trade_of("tree_worker", "tree_sitter", *map(_module, grammars))
        request = {"languages": grammars, "texts": texts}
        answers, verdicts = await asyncio.gather(
            self._workers.ask(trade, request, name=self.name),
            self._shell(snapshot, texts),
        )
        if verdicts is None:
            return answers
        return [
            _agreed(mistakes, verdict) for mistakes, verdict in zip(answers, verdicts, strict=True)
        ]

    async def _shell(
        self, snapshot: DocumentSnapshot, texts: list[str]
    ) -> list[dict[str, Any] | None] | None:
        """Return what bash itself says, where there is one; it only reads (``-n``)."""
        program = shutil.which("bash") if snapshot.language == "bash" else None
        if program is None:
            return None
        known = await self._processes.run([program, "--norc", "--noprofile", "--version"])
        match = re.search(rb"version (\d+)", known.stdout)
        if match is None or int(match[1]) < 4:
            return None
        return [await self._bash(program, text) for text in texts]

    async def _bash(self, program: str, text: str) -> dict[str, Any] | None:
        output = await self._processes.run(
            # Its messages go to standard error, which is not read otherwise.
            [program, "--norc", "--noprofile", "-c", 'exec "$0" --norc -n text 2>&1', program],
            files={"text": text},
        )
        if output.status == 0:
            return None
        said = output.stdout.decode("utf-8", "replace")
        match = re.search(r"^text: line (\d+): (.*)$", said, re.MULTILINE)
        line, message = (int(match[1]), match[2]) if match else (1, "syntax error")
        rows = text.split("\n")
        line = min(max(line, 1), len(rows))
        return {
            "line": line,
            "column": 1,
            "end_line": line,
            "end_column": len(rows[line - 1]) + 1,
            "kind": "message",
            "what": message.removeprefix("syntax error: ").replace("`", "'"),
        }


def _agreed(mistakes: list[dict[str, Any]], verdict: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what is wrong with a shell script: bash has the last word about whether it is."""
    if verdict is None:
        return []
    told = str(verdict["what"])
    if "end of file" not in told and "looking for matching" not in told:
        return [verdict]
    looking = re.search(r"looking for matching '(.)'", told)
    if looking and looking[1] in "\"'":
        return [{**verdict, "what": "A quote is opened here and never closed"}]
    return mistakes[:1] or [verdict]


class Sql(_OfWorker):
    """SQL, by a parser that knows the dialects."""

    name = "sqlglot"
    languages = frozenset({"sql"})

    def __init__(self, workers: Workers) -> None:
        super().__init__(workers)
        self.version = version("sqlglot")

    async def _ask(self, _: DocumentSnapshot, texts: list[str]) -> Any:
        trade = trade_of("sql_worker", "sqlglot")
        return await self._workers.ask(trade, {"texts": texts}, name=self.name)


class R(_OfWorker):
    """R, by its tokens."""

    name = "r-tokens"
    version = "1"
    languages = frozenset({"r"})
    #: It may well miss something: that nothing is found proves nothing.
    checks_syntax = False

    async def _ask(self, _: DocumentSnapshot, texts: list[str]) -> Any:
        trade = trade_of("r_worker")
        return await self._workers.ask(trade, {"texts": texts}, name=self.name)


class Data(_OfWorker):
    """YAML and TOML, by their real parsers."""

    name = "data"
    languages = frozenset({"yaml", "toml"})

    def __init__(self, workers: Workers) -> None:
        super().__init__(workers)
        try:
            self.version = f"PyYAML {version('pyyaml')}"
        except PackageNotFoundError:  # pragma: no cover - it is one of our dependencies
            self.version = "none"

    async def _ask(self, snapshot: DocumentSnapshot, texts: list[str]) -> Any:
        return await self._workers.ask(
            trade_of("data_worker", "yaml"),
            {"language": snapshot.language, "texts": texts},
            name=f"The parser of {_NAMES[snapshot.language]}",
        )


def _is_template(text: str) -> bool:
    return any(
        (at := text.find(opening)) >= 0 and text.find(closing, at + 2) >= 0
        for opening, closing in _TEMPLATE
    )


def _magic(part: Part) -> bool:
    """Tell whether a cell is something else than its notebook."""
    return part.cell_id is not None and part.source.lstrip().startswith("%%")


def _finding(source: str, language: str, part: Part, mistake: Mapping[str, Any]) -> Finding:
    lines = part.lines
    start = lines.clamped(mistake["line"], mistake["column"])
    end = max(start, lines.clamped(mistake["end_line"], mistake["end_column"]))
    title, explanation = _words(language, mistake)
    return Finding(
        Category.SYNTAX,
        Severity.ERROR,
        title,
        explanation,
        lines.location(visible(part.source, Span(start, end)), part.cell_id),
        source,
        # What the preprocessor makes of a text, no grammar knows.
        0.85 if language in ("c", "cpp") else 0.95,
    )


_WHAT_THEN = {
    "yaml": "Until then no program can read this file.",
    "toml": "Until then no program can read this file.",
    "css": "The browser leaves out what it can't read.",
    "sql": "A database refuses the whole statement.",
}


def _words(language: str, mistake: Mapping[str, Any]) -> tuple[str, str]:
    kind, what = str(mistake["kind"]), str(mistake["what"])
    who = _NAMES.get(language, language)
    after = _WHAT_THEN.get(language, "Until then nothing of this file can run.")
    if kind == "unclosed":
        opened = mistake["of"]
        where = "" if opened == mistake["line"] else f" of line {opened}"
        return (
            f"'{what}'{where} is never closed",
            f"The '{what}' on line {opened} opens something that nothing closes, so {who} reads "
            "all that follows as a part of it. By the indentation, what closes it is missing "
            f"here. {after}",
        )
    if kind == "unopened":
        where = f" on line {mistake['of']}" if mistake["of"] != mistake["line"] else ""
        return (
            f"'{what}'{where} closes nothing",
            f"The '{what}' on line {mistake['of']} has nothing that it could close: what opens it "
            f"is missing, here by the indentation, or it is one too many. {after}",
        )
    if kind == "missing":
        return (
            f"'{what}' is missing",
            f"{who} expects '{what}' at this place. Look also at the end of the line before. "
            f"{after}",
        )
    if kind == "unexpected":
        title = f"Unexpected '{what}'" if what else "This can't be read"
        return (
            title,
            f"{who} can't make sense of the text from here on. Often the cause stands just before "
            f"it: a missing bracket, comma, operator, semicolon or quote. {after}",
        )
    title = what[:1].upper() + what[1:]
    return title, f"{title}. Often the cause stands just before this place. {after}"
