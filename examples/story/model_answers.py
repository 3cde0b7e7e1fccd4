"""What the model says in the walkthrough."""

from __future__ import annotations

import json
from typing import Any

GENERATED = '''def parse_price(text):
    """Read a price as people write it: "12.50", "1.234,50 €", "€ 3,90"."""
    digits = text.replace("€", "").strip()
    if "," in digits:
        digits = digits.replace(".", "").replace(",", ".")
    return float(digits)
'''


def generator_answer(_: dict[str, Any]) -> str:
    """Answer with one fenced block, as models do."""
    return f"```python\n{GENERATED}```\n"


def debugger_answer(_: dict[str, Any]) -> str:
    """Answer with one finding at a wrong line, and one about text that is not there."""
    return json.dumps(
        {
            "summary": "Two things.",
            "findings": [
                finding_of(7, "return total[0]", "The stock can be negative", "Nothing stops it."),
                finding_of(9, "total_seconds = 0", "Seconds are dropped", "Keep them."),
            ],
        }
    )


def finding_of(line: int, quote: str, title: str, explanation: str) -> dict[str, Any]:
    """Return a finding in the words in which the model is asked for one."""
    return {
        "category": "bug",
        "severity": "warning",
        "title": title,
        "explanation": explanation,
        "line": line,
        "quote": quote,
        "confidence": 0.6,
    }
