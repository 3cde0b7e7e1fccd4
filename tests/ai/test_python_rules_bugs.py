"""Our rules for faults of logic: each finds its fault, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits


def body(*lines, head="def f(a, b):"):
    return "\n".join([head, *(f"    {line}" for line in lines)])


#: rule -> the line of the fault, the faulty text, repaired texts
CASES = {
    "product-of-zero": (
        2,
        body("p = 0", "for x in a:", "    p *= x", "return p"),
        body("p = 1", "for x in a:", "    p *= x", "return p"),
        body("p = 0", "for x in a:", "    p = p * 10 + x", "return p"),
    ),
    "always-empty": (
        2,
        body("seen = set()", "for x in a:", "    if x in seen:", "        return x"),
        body("seen = set()", "for x in a:", "    if x in seen: return x", "    seen.add(x)"),
        body("seen = set()", "b(seen)", "return a in seen"),
    ),
    "never-read": (
        2,
        body("c = [0] * b", "for x in a:", "    c[x] += 1", "return a"),
        body("c = [0] * b", "for x in a:", "    c[x] += 1", "return c"),
        body("c = []", "def g():", "    return c", "return g"),
    ),
    "never-changed": (
        3,
        body("even = 0", "odd = 0", "for x in a:", "    even += 1", "return even, odd"),
        body("odd = 0", "for x in a:", "    odd += 1", "return odd"),
    ),
    "overwritten-before-use": (
        2,
        body("c = a.x() + 1", "c = b.y() + 2", "return c"),
        body("c = a.x() + 1", "c = c + 2", "return c"),
        body("c = 0", "c = a.x() + 1", "return c"),
    ),
    "branch-never-reached": (
        4,
        body(
            "if a % 3 == 0:", "    b += 1", "elif a % 3 != 0:", "    b += 2", "else:", "    b = 3"
        ),
        body("if a == 0:", "    b += 1", "elif a > 0:", "    b += 2", "else:", "    b = 3"),
    ),
    "contradiction": (2, body("return a < 3 and a > 5"), body("return a > 3 and a < 5")),
    "tautology": (2, body("return a != 1 or a != 2"), body("return a != 1 and a != 2")),
    "range-of-one": (2, body("return a >= 8 and a <= 8"), body("return a >= 8 and a <= 9")),
    "same-on-both-sides": (2, body("return a - a"), body("return a - b")),
    "same-in-both-branches": (
        2,
        body("if a:", "    return b + 1", "else:", "    return b + 1"),
        body("if a:", "    return b + 1", "else:", "    return b"),
    ),
    "division-binds-first": (
        2,
        body("return a[len(a) - 1 // 2]"),
        body("return a[(len(a) - 1) // 2]"),
    ),
    "upper-and-lower": (2, body("return a.upper() == 'yes'"), body("return a.lower() == 'yes'")),
    "endless-loop": (
        3,
        body("r = ''", "while b:", "    r += 'x'", "return r"),
        body("r = ''", "while b:", "    b -= 1", "return r"),
        body("while a.more():", "    b()"),
        body("pop = a.pop", "while a:", "    pop()"),
    ),
    "search-without-progress": (
        4,
        body("lo = 0", "hi = len(a)", "while lo <= hi:", "    mid = (lo + hi) // 2")
        + "\n        if a[mid] < b:\n            lo = mid + 1\n        else:\n            hi = mid",
        body("lo = 0", "hi = len(a)", "while lo < hi:", "    mid = (lo + hi) // 2")
        + "\n        if a[mid] < b:\n            lo = mid + 1\n        else:\n            hi = mid",
    ),
    "falsy-after-loop": (
        4,
        body("while b:", "    a, b = b, a % b", "return b"),
        body("while b:", "    a, b = b, a % b", "return a"),
    ),
    "index-past-end": (
        3,
        body("for i in range(len(a)):", "    b(a[i + 1])"),
        body("for i in range(len(a) - 1):", "    b(a[i + 1])"),
        body("for i in range(len(a)):", "    if i + 1 < len(a):", "        b(a[i + 1])"),
    ),
    "window-misses-last": (
        2,
        body(
            "for i in range(len(a) - len(b)):", "    if a[i:i + len(b)] == b:", "        return i"
        ),
        body("for i in range(len(a) - len(b) + 1):", "    if a[i:i + len(b)] == b: return i"),
    ),
    "divisor-one": (
        2,
        body("for k in range(1, a):", "    if a % k == 0:", "        return False", "return True"),
        body("for k in range(2, a):", "    if a % k == 0:", "        return False", "return True"),
    ),
    "division-by-zero": (
        4,
        body("i = 0", "while i < a:", "    if a % i == 0:", "        return i", "    i += 1"),
        body("i = 1", "while i < a:", "    if a % i == 0:", "        return i", "    i += 1"),
    ),
    "pop-without-end": (
        3,
        body("q = [a]", "while True:", "    n = q.pop(0)", "    q.extend(n)"),
        body("q = [a]", "while q:", "    n = q.pop(0)", "    q.extend(n)"),
    ),
    "inner-loop-reuses-name": (
        3,
        body("for i in a:", "    for i in b:", "        print(i)", "    a.x(i)"),
        body("for i in a:", "    for j in b:", "        print(j)", "    a.x(i)"),
    ),
    "step-lost": (
        3,
        body("for i in range(a):", "    i += 1"),
        body("i = 0", "while i < a:", "    i += 1"),
    ),
    "greater-than-maximum": (
        4,
        body("m = max(len(s) for s in a)", "for s in a:", "    if len(s) > m:", "        return s"),
        body(
            "m = max(len(s) for s in a)", "for s in a:", "    if len(s) == m:", "        return s"
        ),
    ),
    "endless-recursion": (
        4,
        body("if b == 0:", "    return a", "return f(a % b, b)"),
        body("if b == 0:", "    return a", "return f(b, a % b)"),
    ),
    "generator-not-run": (
        4,
        body("for x in a:", "    if x: yield x", "    else: yield f(x, b)"),
        body("for x in a:", "    if x: yield x", "    else: yield from f(x, b)"),
    ),
    "halving-never-ends": (
        2,
        body("if not a: return a", "m = len(a) // 2", "return f(a[:m], b) + f(a[m:], b)"),
        body("if len(a) < 2: return a", "m = len(a) // 2", "return f(a[:m], b) + f(a[m:], b)"),
    ),
    "taken-from-empty": (
        2,
        body("first, *rest = a", "return first + f(rest, b)"),
        body("if not a: return 0", "first, *rest = a", "return first + f(rest, b)"),
    ),
    "key-ignores-element": (
        2,
        body("return sorted(a, key=lambda x: b.count(1))"),
        body("return sorted(a, key=lambda x: b.count(x))"),
    ),
    "text-where-bytes-belong": (
        2,
        "import hashlib\nx = hashlib.sha1('a')",
        "import hashlib\nx = hashlib.sha1(b'a')",
    ),
    "cut-and-joined-again": (2, body("return a[:b] + a[b:]"), body("return a[b:] + a[:b]")),
    "replaced-and-split-on-it": (
        2,
        body("return a.replace(' ', ',').split()"),
        body("return a.replace(',', ' ').split()"),
    ),
    "inner-function-unused": (
        2,
        body("def g(x):", "    return x > 1", "return a"),
        body("def g(x):", "    return x > 1", "return g(a)"),
    ),
    "result-missing": (
        4,
        body("if a == 0:", "    return b", "f(a - 1, b)"),
        body("if a == 0:", "    return b", "return f(a - 1, b)"),
    ),
    "unreachable": (
        3,
        body("return a", "b.close()"),
        body("b.close()", "return a"),
        body("return", "yield"),
    ),
    "handler-never-reached": (
        6,
        body("try:", "    a()", "except Exception:", "    b(1)", "except ValueError:", "    b(2)"),
        body("try:", "    a()", "except ValueError:", "    b(1)", "except Exception:", "    b(2)"),
    ),
    "not-awaited": (
        4,
        "async def g():\n    return 1\nasync def f():\n    g()",
        "async def g():\n    return 1\nasync def f():\n    await g()",
    ),
    "slow-pattern": (
        2,
        "import re\np = re.compile('^(a+)+$')",
        "import re\np = re.compile('^a+$')",
    ),
    "slashes-in-pattern": (2, "import re\np = '/^a$/'", "import re\np = '^a$'"),
    "removed-from-python": (
        2,
        "import time\nx = time.clock()",
        "import time\nx = time.perf_counter()",
    ),
    "parameter-shadowed": (2, body("a = []", "return a"), body("c = []", "return a, c")),
}


@pytest.mark.parametrize("rule", CASES)
def test_the_fault_is_found_in_its_line_and_the_repair_is_quiet(rule):
    line, faulty, *repaired = CASES[rule]
    assert (line, rule) in hits(faulty)
    for source in repaired:
        assert rule not in {found for _, found in hits(source)}, source
