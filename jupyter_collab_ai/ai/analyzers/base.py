"""The hook: what an analyzer is, and how those of other packages are found."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from jupyter_collab_ai.ai.findings import Finding
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

log = logging.getLogger(__name__)

#: The entry point group; each entry is a callable without parameters that makes an analyzer.
GROUP = "jupyter_collab_ai.analyzers"


class AnalyzerFailed(Exception):
    """An analyzer did not come to an end; its findings are missing, all others stand."""


@runtime_checkable
class Analyzer(Protocol):
    """Finds faults in a document without running it.

    The document that it gets always parses where there is a parser for the language: what
    does not parse was replaced line by line, and findings there are dropped.
    """

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    @property
    def version(self) -> str:
        """Its version, for reports."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it knows."""
        ...

    @property
    def checks_syntax(self) -> bool:
        """Whether it reports everything that does not parse."""
        ...

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what is wrong with a document.

        Raises:
            AnalyzerFailed: It could not be told.
        """
        ...


def installed_analyzers() -> Iterable[Analyzer]:
    """Return the analyzers of other packages; one that can't be loaded is left out."""
    for entry in entry_points(group=GROUP):
        try:
            made = entry.load()()
        except Exception:
            log.exception("The analyzer %s can't be loaded; it is left out.", entry.name)
            continue
        if isinstance(made, Analyzer):
            yield made
        else:
            log.error("The entry point %s is no analyzer; it is left out.", entry.name)
