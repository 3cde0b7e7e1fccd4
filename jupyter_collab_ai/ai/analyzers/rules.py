"""Which of ruff's rules are asked, and what a finding of each is: the profile, in one table.

Chosen for little noise: what is on says that something is wrong, never that it is ugly.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_collab_ai.ai.findings import Category, Severity

#: Prefixes of the rules that are on.
SELECTED: tuple[str, ...] = (
    *("F402", "F404", "F50", "F52", "F6", "F70", "F722", "F811", "F821", "F822", "F823", "F901"),
    *("B002", "B003", "B004", "B005", "B006", "B012", "B015", "B016", "B017", "B018", "B019"),
    *("B020", "B021", "B022", "B023", "B025", "B026", "B029", "B03", "B039"),
    *("PLE", "PLW0120", "PLW0127", "PLW0128", "PLW0129", "PLW0131", "PLW0133", "PLW0177"),
    *("PLW0211", "PLW0245", "PLW0711", "PLW1501", "PLW1507", "PLW1508", "PLW1509", "PLW1510"),
    *("PLR0124", "PLR0133", "PLR1704"),
    *("RUF006", "RUF008", "RUF009", "RUF015", "RUF016", "RUF017", "RUF018", "RUF026"),
    *("RUF030", "RUF032", "RUF033", "RUF034", "RUF040", "RUF048", "RUF060"),
    *("E721", "E722", "LOG", "INT", "YTT", "FAST003", "PIE794", "PIE796", "PIE800"),
    *("TRY203", "T100"),
    *("PERF101", "PERF102", "PERF401", "PERF402", "PERF403", "C411", "C413", "C419", "RUF024"),
    *("ASYNC21", "ASYNC22", "ASYNC23", "ASYNC24", "ASYNC25"),
    "S",
)
#: Prefixes of rules whose findings are right and save next to nothing: off unless asked for.
HINTS: tuple[str, ...] = ("C4", "PERF", "PLC0206", "PLC0208", "PLR1714", "SIM118")
#: Prefixes of rules that are off although a prefix above names them.
IGNORED: tuple[str, ...] = (
    # assert is what tests are made of; the others tell what is imported, not what is done.
    *("S101", "S40", "S41", "S603", "S607"),
    # matters of style
    *("C408", "B034", "LOG015"),
)

_SYNTAX = ("F404", "F70", "F722", "PLE0115", "PLE0116", "PLE0117", "PLE0118", "PLE1142")
_PERFORMANCE = (
    *("PERF", "C4", "ASYNC", "RUF015", "RUF017", "B019", "PLC0206", "PLC0208", "SIM118"),
    "PLR1714",
)
#: These break when the line is reached, whatever the input.
_ERRORS = (
    *("F50", "F52", "F621", "F622", "F821", "F822", "F823", "PLE", "B002", "B016", "B029"),
    *("B030", "RUF016", "RUF030", "PLW1501", "PLW0133"),
)
_SLOW_FOR_SURE = ("ASYNC", "B019", "RUF017")
_DANGEROUS = (
    *("S102", "S201", "S202", "S301", "S302", "S307", "S501", "S506", "S601", "S602", "S604"),
    *("S605", "S608", "S611", "S701"),
)
#: Right only now and then.
_WEAK = ("S105", "S106", "S107", "S108", "S110", "S112", "S311", "S606", "PLW1510")

_CWE: dict[str, str] = {
    "S102": "CWE-95",
    "S103": "CWE-732",
    "S104": "CWE-1327",
    "S105": "CWE-798",
    "S106": "CWE-798",
    "S107": "CWE-798",
    "S108": "CWE-377",
    "S110": "CWE-390",
    "S112": "CWE-390",
    "S113": "CWE-400",
    "S201": "CWE-489",
    "S202": "CWE-22",
    "S301": "CWE-502",
    "S302": "CWE-502",
    "S303": "CWE-328",
    "S304": "CWE-327",
    "S305": "CWE-327",
    "S306": "CWE-377",
    "S307": "CWE-95",
    "S308": "CWE-79",
    "S310": "CWE-918",
    "S311": "CWE-338",
    "S312": "CWE-319",
    "S313": "CWE-611",
    "S314": "CWE-611",
    "S315": "CWE-611",
    "S316": "CWE-611",
    "S317": "CWE-611",
    "S318": "CWE-611",
    "S319": "CWE-611",
    "S320": "CWE-611",
    "S321": "CWE-319",
    "S323": "CWE-295",
    "S324": "CWE-328",
    "S501": "CWE-295",
    "S502": "CWE-326",
    "S503": "CWE-326",
    "S504": "CWE-326",
    "S505": "CWE-326",
    "S506": "CWE-502",
    "S507": "CWE-322",
    "S508": "CWE-319",
    "S509": "CWE-319",
    "S601": "CWE-78",
    "S602": "CWE-78",
    "S604": "CWE-78",
    "S605": "CWE-78",
    "S606": "CWE-78",
    "S608": "CWE-89",
    "S609": "CWE-155",
    "S610": "CWE-89",
    "S611": "CWE-89",
    "S612": "CWE-94",
    "S701": "CWE-79",
    "S702": "CWE-79",
    "S704": "CWE-79",
    "PLE2502": "CWE-1007",
    "E722": "CWE-396",
    "PLW1510": "CWE-252",
}


@dataclass(frozen=True)
class Rule:
    """What a finding of one rule is."""

    category: Category
    severity: Severity
    confidence: float
    cwe: str | None


#: What a helper that a handler calls, and tables that are put together, do rightly.
_UNSURE = ("PLE0704", "PLE0605")


def rule_for(code: str) -> Rule:
    """Return what a finding of the rule ``code`` is."""
    cwe = _CWE.get(code)
    if code.startswith(_SYNTAX):
        return Rule(Category.SYNTAX, Severity.ERROR, 1.0, cwe)
    if code == "PLE2502":
        return Rule(Category.SECURITY, Severity.ERROR, 0.9, cwe)
    if code.startswith(_PERFORMANCE):
        sure = code.startswith(_SLOW_FOR_SURE)
        severity = Severity.WARNING if sure else Severity.INFO
        return Rule(Category.PERFORMANCE, severity, 0.9 if sure else 0.7, cwe)
    if (code.startswith("S") and code[1:].isdecimal()) or code == "PLW1510":
        if code.startswith(_WEAK):
            return Rule(Category.SECURITY, Severity.INFO, 0.3, cwe)
        if code.startswith(_DANGEROUS):
            return Rule(Category.SECURITY, Severity.ERROR, 0.8, cwe)
        return Rule(Category.SECURITY, Severity.WARNING, 0.7, cwe)
    if code in _UNSURE:
        return Rule(Category.BUG, Severity.WARNING, 0.5, cwe)
    if code.startswith(_ERRORS):
        return Rule(Category.BUG, Severity.ERROR, 0.95, cwe)
    if code == "E722":
        return Rule(Category.BUG, Severity.INFO, 0.5, cwe)
    return Rule(Category.BUG, Severity.WARNING, 0.9, cwe)
