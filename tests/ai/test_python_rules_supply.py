"""Our rules for what others made: loaded, downloaded, logged or let in without a look."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

FLASK = "from flask import request\n"
#: rule -> the line of the fault, the faulty text, repaired texts
CASES = {
    "model-file-runs-code": (
        2,
        "import torch\nm = torch.load('m.pt')",
        "import torch\nm = torch.load('m.pt', weights_only=True)",
    ),
    "download-not-pinned": (
        2,
        "from transformers import AutoModel\nm = AutoModel.from_pretrained('a/b')",
        "from transformers import AutoModel\n"
        "m = AutoModel.from_pretrained('a/b', revision='0123456789abcdef')",
        "from transformers import AutoModel\nm = AutoModel.from_pretrained('./here')",
    ),
    "unpickling-runs-command": (
        4,
        "import os\nclass A:\n    def __reduce__(self):\n        return os.system, ('id',)",
        "class A:\n    def __reduce__(self):\n        return A, ()",
    ),
    "query-operator-injection": (
        2,
        "def f(t, name):\n    return t.scan(FilterExpression=name + ' = :u')",
        "def f(t, name):\n    return t.scan(FilterExpression='n = :u', Values={':u': name})",
    ),
    "rights-kept-after-error": (
        4,
        "import os\ndef f(n):\n    try:\n        raisePrivileges()\n        os.mkdir(n)\n"
        "        lowerPrivileges()\n    except OSError:\n        return False",
        "import os\ndef f(n):\n    raisePrivileges()\n    try:\n        os.mkdir(n)\n"
        "    finally:\n        lowerPrivileges()",
    ),
    "process-not-checked": (
        3,
        "import os, signal\ndef f(pid):\n    os.kill(pid, signal.SIGKILL)",
        "import os, signal\ndef f(pid):\n    if mine(pid):\n        os.kill(pid, 9)",
        "import os\ndef f(pid):\n    os.kill(pid, 0)",
    ),
    "password-in-log": (
        3,
        "import logging\ndef f(user, password):\n    logging.info(f'{user} came with {password}')",
        "import logging\ndef f(user, password):\n    logging.info(f'{user} came')",
        "def f():\n    print('password')",
    ),
    "forgery-check-off": (
        2,
        "from django.views.decorators.csrf import csrf_exempt\n@csrf_exempt\ndef pay(r): pass",
        "from django.views.decorators.csrf import csrf_protect\n@csrf_protect\ndef pay(r): pass",
    ),
    "any-origin-allowed": (
        2,
        "def f(r):\n    r.headers['Access-Control-Allow-Origin'] = '*'",
        "def f(r):\n    r.headers['Access-Control-Allow-Origin'] = 'https://a.example'",
    ),
    "fields-taken-from-outside": (
        3,
        FLASK + "def f():\n    return User(**request.json)",
        FLASK + "def f():\n    return User(name=request.json['name'])",
    ),
    # ------------------------------------------------------------------ no security, but alike
    "default-computed-once": (
        2,
        "import time\ndef f(at=time.time()):\n    return at",
        "import time\ndef f(at=None):\n    return at or time.time()",
        "def f(a=tuple()):\n    return a",
    ),
    "hard-coded-credential": (
        1,
        "login = {'user': 'root', 'password': 'hunter2'}",
        "import os\nlogin = {'user': 'root', 'password': os.environ['P2']}",
        "labels = {'password': 'Password'}",
    ),
    "changed-while-iterating": (
        3,
        "def f(d):\n    for k in d.keys():\n        d[k + '_old'] = 1",
        "def f(d):\n    for k in list(d):\n        d[k + '_old'] = 1",
        "def f(d):\n    for k in d.keys():\n        d[k] = 1",
    ),
}


@pytest.mark.parametrize(
    "change", ["s.add(x + 1)", "s.update([x, 9])", "s.sort()", "s.extend([x])"]
)
def test_what_is_gone_through_must_not_change(change):
    rule = "changed-while-iterating"
    assert (3, rule) in hits(f"def f(s):\n    for x in s:\n        {change}")
    assert not hits(f"def f(s):\n    for x in list(s):\n        {change}")
    assert not hits(
        f"def f(s):\n    for x in s:\n        if x:\n            {change}\n            break"
    )
    assert not hits("def f(s):\n    for x in s:\n        s.append(x.next)")


@pytest.mark.parametrize("rule", CASES)
def test_it_is_found_where_it_is_and_not_in_the_repaired_text(rule):
    line, faulty, *repaired = CASES[rule]
    assert (line, rule) in hits(faulty)
    for text in repaired:
        assert rule not in {found for _, found in hits(text)}, text
