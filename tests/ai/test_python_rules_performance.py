"""Our rules for slow Python: each finds its fault in its line, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits
from tests.ai.test_python_rules_bugs import body

CASES = {
    "string-built-in-loop": (
        4,
        body("s = ''", "for x in a:", "    s += str(x)", "return s"),
        body("return ''.join(str(x) for x in a)"),
        body("s = 0", "for x in a:", "    s += x", "return s"),
    ),
    "list-shifted-in-loop": (
        3,
        body("while a:", "    b(a.pop(0))"),
        body("while a:", "    b(a.popleft())"),
        body("while a:", "    b(a.pop())"),
    ),
    "list-searched-in-loop": (
        4,
        body("known = list(b)", "for x in a:", "    if x in known:", "        print(x)"),
        body("known = set(b)", "for x in a:", "    if x in known:", "        print(x)"),
    ),
    "compiled-in-loop": (
        4,
        "import re\n" + body("for x in a:", "    re.compile('a+').match(x)"),
        "import re\n" + body("p = re.compile('a+')", "for x in a:", "    p.match(x)"),
    ),
    "sorted-in-loop": (
        3,
        body("for x in a:", "    print(x, sorted(b))"),
        body("c = sorted(b)", "for x in a:", "    print(x, c)"),
        body("for x in a:", "    b.append(x)", "    print(x, sorted(b))"),
    ),
    "rows-one-by-one": (
        2,
        body("for i, row in a.iterrows():", "    b(row)"),
        body("for row in a.itertuples():", "    b(row)"),
    ),
    "table-grown-in-loop": (
        4,
        "import pandas as pd\n" + body("for x in b:", "    a = pd.concat([a, x])", "return a"),
        "import pandas as pd\n" + body("return pd.concat(list(b))"),
    ),
    "awaited-one-by-one": (
        3,
        body("r = []", "for x in a:", "    r.append(await b(x))", head="async def f(a, b):"),
        body("return await asyncio.gather(*map(b, a))", head="async def f(a, b):"),
    ),
    "read-in-loop": (
        3,
        body("for x in a:", "    b(open('names.txt').read(), x)"),
        body("for x in a:", "    b(open(x).read())"),
    ),
    "exponential-recursion": (
        4,
        "def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)",
        "@cache\ndef f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)",
    ),
}


@pytest.mark.parametrize("rule", CASES)
def test_slow_code_is_found_in_its_line_and_the_repair_is_quiet(rule):
    line, faulty, *repaired = CASES[rule]
    found = hits(faulty)
    assert rule in {name for _, name in found}
    assert min(abs(line - place) for place, name in found if name == rule) <= 1
    for source in repaired:
        assert rule not in {name for _, name in hits(source)}, source
