"""What beginners write every day: each rule finds it, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

PAGE = (
    "from flask import Flask, request\napp = Flask(__name__)\n@app.{}('/d')\ndef d():\n"
    "    return {}"
)
FRAME = "import pandas as pd\ndf = pd.read_csv('a')\n"
LOGGED = (
    "import logging\nfrom flask import request\nlog = logging.getLogger(__name__)\n\n"
    "def f():\n    {}"
)

#: rule, the line of the fault, the faulty text
FAULTY = [
    # A notebook's cell is no function.
    ("endless-loop", 2, "i = 0\nwhile i < 10:\n    print(i)"),
    ("endless-loop", 5, "def f(i):\n    return i\n\ni = 0\nwhile i < 10:\n    print(f(1))"),
    ("none-from-in-place", 2, "def f(xs):\n    xs = xs.sort()\n    return xs[0]"),
    ("none-from-in-place", 2, "xs = [3, 1]\nxs = xs.sort()\nprint(xs)"),
    ("none-from-in-place", 3, "xs = []\nfor x in range(3):\n    xs = xs.append(x)"),
    ("none-from-in-place", 2, "def f(xs: list[int], x):\n    xs = xs.append(x)\n    return xs"),
    ("cross-site-scripting", 5, PAGE.format("get", "'<h1>' + request.args['n']")),
    ("cross-site-scripting", 5, PAGE.format("post", "f'<h1>{request.form.get(1)}</h1>'")),
    ("log-injection", 6, LOGGED.format('log.info("user %s", request.args["n"])')),
    ("hard-coded-credential", 1, "token = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'"),
    ("cookie-without-protection", 2, "def f(response):\n    response.set_cookie('a', 'b')"),
    (
        "attribute-never-set",
        6,
        "class A:\n    def __init__(self):\n        self.total = 0\n\n    def f(self):\n"
        "        return self.totl + self.other()",
    ),
    (
        "attribute-never-set",
        6,
        "class A:\n    def __init__(self):\n        self.x = 0\n\n    def f(self):\n"
        "        return self.helper()\n\nA().f()",
    ),
    ("divided-by-nothing", 1, "x = 1 / 0"),
    ("divided-by-nothing", 2, "def f(a):\n    return a // 0"),
    ("divided-by-nothing", 2, "xs = []\nprint(sum(xs) / len(xs))"),
    (
        "mean-of-nothing",
        3,
        "def f(xs):\n    ys = [x for x in xs if x]\n    return sum(ys) / len(ys)",
    ),
    (
        "mean-of-nothing",
        6,
        "def f(xs):\n    t = 0\n    ys = [x for x in xs if x]\n    for y in ys:\n        t += y\n"
        "    return t / len(ys)",
    ),
    ("index-is-length", 2, "def f(xs):\n    return xs[len(xs)]"),
    (
        "index-is-length",
        4,
        "def f(s):\n    r = ''\n    for i in range(len(s), 0, -1):\n        r += s[i]",
    ),
    ("not-exchanged", 3, "def f(a, i, j):\n    a[i] = a[j]\n    a[j] = a[i]"),
    ("not-exchanged", 3, "a, b = 1, 2\na = b\nb = a"),
    (
        "counted-without-start",
        4,
        "def f(ws):\n    c = {}\n    for w in ws:\n        c[w] += 1\n    return c",
    ),
    ("counted-without-start", 3, "c = {}\nfor w in 'abc':\n    c[w] += 1\nprint(c)"),
    ("possibly-never-set", 4, "def f(x):\n    if x:\n        y = 1\n    return y"),
    (
        "not-awaited",
        5,
        "async def g():\n    return 1\n\nasync def f():\n    x = g()\n    return x + 1",
    ),
    ("not-awaited", 5, "async def g():\n    return 1\n\nasync def f():\n    return g()[0]"),
    ("number-and-text", 2, "age = 3\nprint('age: ' + age)"),
    ("number-and-text", 3, "def f(xs):\n    n = len(xs)\n    return 'n: ' + n"),
    ("never-closed", 2, "def f(p):\n    return open(p).read()"),
    ("never-closed", 2, "import json\nd = json.load(open('a.json'))"),
    ("columns-asked-as-one", 3, FRAME + "x = df[df.a > 0 and df.a < 5]"),
    ("columns-asked-as-one", 3, FRAME + "if df['a'] == 1:\n    print()"),
    ("table-not-kept", 3, FRAME + "df.dropna()\nprint(df)"),
    ("table-not-kept", 4, FRAME + "df = df.rename(columns=str)\ndf.fillna(0)\nprint(df)"),
    ("set-in-a-copy", 3, FRAME + "df[df.a > 0]['a'] = 5"),
    ("sorted-in-loop", 2, "def norm(xs):\n    return [x / sum(xs) for x in xs]"),
    (
        "asked-one-by-one",
        4,
        "from django.db import models\ndef f(ids):\n    for i in ids:\n"
        "        print(User.objects.get(id=i))",
    ),
    ("result-discarded", 2, "def f(s):\n    s.strip()\n    return s"),
    ("result-discarded", 2, "def add(a, b):\n    a + b"),
    (
        "list-parameter-searched",
        4,
        "def f(a: list[int], b: list[int]):\n    out = []\n    for x in a:\n        if x in b:\n"
        "            out.append(x)\n    return out",
    ),
]
#: rule, a text in which it has nothing to say
RIGHT = [
    ("endless-loop", "i = 0\nwhile i < 10:\n    print(i)\n    i += 1"),
    ("endless-loop", "i = 0\ndef f():\n    global i\n    i += 1\nwhile i < 10:\n    f()"),
    ("endless-loop", "xs = [1]\ndef f():\n    xs.pop()\nwhile xs:\n    f()"),
    ("endless-loop", "import time\nwhile True:\n    time.sleep(1)"),
    # Another thread waits for what the function around it says.
    (
        "endless-loop",
        "def f(g):\n    stop = False\n    def run():\n        while not stop:\n            g()\n"
        "    h(run)\n    stop = True",
    ),
    ("none-from-in-place", "import polars as pl\n\ndef f(xs):\n    xs = xs.sort()\n    return xs"),
    ("none-from-in-place", "def f(frame, row):\n    frame = frame.append(row)\n    return frame"),
    ("none-from-in-place", "def f(cursor):\n    cursor = cursor.sort('a', -1)\n    return cursor"),
    ("none-from-in-place", "def f(xs):\n    ys = xs.sort()\n    return ys"),
    ("cross-site-scripting", PAGE.format("get", "{'n': request.args['n']}")),
    ("cross-site-scripting", PAGE.format("get", "request.get_json()")),
    ("cross-site-scripting", PAGE.replace("flask", "fastapi").format("get", "request.args['n']")),
    (
        "cross-site-scripting",
        "import tornado.web\nclass H(tornado.web.RequestHandler):\n    def get(self):\n"
        "        name = self.get_argument('n')\n        self.write(dict(name=name))",
    ),
    ("log-injection", LOGGED.format('log.debug("Bad: %r", request.args["n"])')),
    ("hard-coded-credential", "token = r'[-!#$%&*+.^_`|~0-9a-zA-Z]+'"),
    ("cookie-without-protection", "class C:\n    def f(self, c):\n        self.jar.set_cookie(c)"),
    # It is joined to others elsewhere, which have the rest.
    (
        "attribute-never-set",
        "class Parser:\n    def __init__(self):\n        self.x = 0\n\n    def f(self):\n"
        "        return self.peek(), self.token()",
    ),
    ("divided-by-nothing", "try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    pass"),
    ("divided-by-nothing", "import pytest\nwith pytest.raises(ZeroDivisionError):\n    x = 1 / 0"),
    ("divided-by-nothing", "x = '%d' % 0\ny = x % 0"),
    ("divided-by-nothing", "xs = []\nxs.append(1)\nprint(sum(xs) / len(xs))"),
    (
        "mean-of-nothing",
        "def f(xs):\n    if not xs:\n        return 0\n    return sum(xs) / len(xs)",
    ),
    ("mean-of-nothing", "def f(xs):\n    return sum(xs) / len(xs) if xs else 0"),
    # Whoever calls it may know that there is something.
    ("mean-of-nothing", "def mean(xs):\n    return sum(xs) / len(xs)"),
    ("mean-of-nothing", "def f(xs):\n    assert xs\n    return sum(xs) / len(xs)"),
    ("mean-of-nothing", "def f(xs):\n    return sum(xs) / max(len(xs), 1)"),
    ("mean-of-nothing", "def f():\n    xs = [1, 2]\n    return sum(xs) / len(xs)"),
    ("index-is-length", "def f(d: dict):\n    return d[len(d)]"),
    ("index-is-length", "d = {}\nd[len(d)] = 1"),
    (
        "index-is-length",
        "def f(s):\n    for i in range(len(s), 0, -1):\n        print(s[i - 1], s[:i])",
    ),
    ("not-exchanged", "a, b, c = 1, 2, 3\na = b\nb = c"),
    ("not-exchanged", "def f(a, i, j):\n    t = a[i]\n    a[i] = a[j]\n    a[j] = t"),
    (
        "counted-without-start",
        "c = {}\nfor w in 'abc':\n    if w not in c:\n        c[w] = 0\n    c[w] += 1",
    ),
    (
        "counted-without-start",
        "def f(g, ws):\n    c = {}\n    g(c)\n    for w in ws:\n        c[w] += 1",
    ),
    ("counted-without-start", "c = {}\nfor w in 'abc':\n    c.setdefault(w, 0)\n    c[w] += 1"),
    (
        "possibly-never-set",
        "def f(x):\n    if x:\n        y = 1\n    else:\n        y = 2\n    return y",
    ),
    ("possibly-never-set", "def f(x):\n    if x:\n        y = 1\n    if x:\n        return y"),
    (
        "possibly-never-set",
        "def f(x):\n    if x:\n        y = 1\n    if not x:\n        return 0\n    return y",
    ),
    ("possibly-never-set", "def f(x):\n    if x:\n        y = 1\n    return y if x else 0"),
    ("possibly-never-set", "def f(x, g):\n    if x:\n        y = 1\n    g.check()\n    return y"),
    (
        "not-awaited",
        "async def g():\n    return 1\n\nasync def f():\n    x = await g()\n    return x + 1",
    ),
    (
        "not-awaited",
        "async def g():\n    return 1\n\nasync def f():\n    x = g()\n    return await x",
    ),
    (
        "not-awaited",
        "async def g():\n    yield 1\n\nasync def f():\n    return [x async for x in g()]",
    ),
    ("number-and-text", "age = 3\nage = str(age)\nprint('age: ' + age)"),
    ("number-and-text", "age = 3\ndef f(age):\n    return 'age: ' + age"),
    ("never-closed", "def f(p):\n    with open(p) as f:\n        return f.read()"),
    ("columns-asked-as-one", FRAME + "x = df[(df.a > 0) & (df.a < 5)]"),
    ("columns-asked-as-one", FRAME + "x = df.size > 0 and df.empty"),
    ("columns-asked-as-one", "def f(df):\n    return df.a > 0 and df.b < 5"),
    ("table-not-kept", FRAME + "df.dropna(inplace=True)\nprint(df)"),
    ("table-not-kept", FRAME + "df.dropna()"),
    ("set-in-a-copy", FRAME + "df.loc[df.a > 0, 'a'] = 5"),
    ("sorted-in-loop", "def norm(xs):\n    t = sum(xs)\n    return [x / t for x in xs]"),
    ("sorted-in-loop", "def f(rows):\n    return [sum(row) for row in rows]"),
    ("result-discarded", "import os\ndef f():\n    os.replace('a', 'b')"),
    ("result-discarded", "def f(path):\n    path.replace('b')"),
    ("result-discarded", "def f(a, b):\n    a | b"),
    ("result-discarded", "def f(a, b):\n    return a + b"),
    ("list-parameter-searched", "def f(a, b: set[int]):\n    return [x for x in a if x in b]"),
    (
        "list-parameter-searched",
        "def f(a, b: list[int]):\n    b = set(b)\n    return [x for x in a if x in b]",
    ),
]


@pytest.mark.parametrize(("rule", "line", "source"), FAULTY)
def test_the_fault_is_found_where_it_is(rule: str, line: int, source: str) -> None:
    assert (line, rule) in hits(source)


@pytest.mark.parametrize(("rule", "source"), RIGHT)
def test_what_is_right_is_left_alone(rule: str, source: str) -> None:
    assert rule not in {found for _, found in hits(source)}
