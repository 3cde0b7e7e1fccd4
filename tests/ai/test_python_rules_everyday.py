"""What beginners write every day: each rule finds it, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

PAGE = (
    "from flask import Flask, request\napp = Flask(__name__)\n@app.{}('/d')\ndef d():\n"
    "    return {}"
)
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
]


@pytest.mark.parametrize(("rule", "line", "source"), FAULTY)
def test_the_fault_is_found_where_it_is(rule: str, line: int, source: str) -> None:
    assert (line, rule) in hits(source)


@pytest.mark.parametrize(("rule", "source"), RIGHT)
def test_what_is_right_is_left_alone(rule: str, source: str) -> None:
    assert rule not in {found for _, found in hits(source)}
