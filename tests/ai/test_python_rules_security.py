"""Our rules for insecure Python: untrusted values are found where they harm, checks are seen."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

FLASK = "import os, re, flask\nfrom flask import request, redirect\napp = flask.Flask('a')\n\n"
VIEW = FLASK + "@app.route('/')\ndef view():\n    x = request.args.get('x', '')\n"


def view(*lines):
    return VIEW + "".join(f"    {line}\n" for line in lines)


#: rule -> the faulty end of a view, and repaired ends.
VIEWS = {
    "path-traversal": (
        ["p = os.path.join('/srv', x)", "return open(p).name"],
        ["return open(os.path.join('/srv', os.path.basename(x))).name"],
        ["if x not in ('a', 'b'):", "    flask.abort(404)", "return open('/srv/' + x).name"],
        [
            "p = os.path.realpath(os.path.join('/srv', x))",
            "if not p.startswith('/srv/'):",
            "    flask.abort(404)",
            "return open(p).name",
        ],
    ),
    "command-injection": (
        ["os.system(f'ls {x}')", "return 'ok'"],
        ["import shlex", "os.system(f'ls {shlex.quote(x)}')", "return 'ok'"],
        ["if not re.fullmatch('[a-z]+', x):", "    return 'no'", "os.system('ls ' + x)"],
        ["import subprocess", "subprocess.run(['ls', x])", "return 'ok'"],
    ),
    "code-injection": (
        ["return str(eval(x))"],
        ["import ast", "return str(len(ast.literal_eval(x)))"],
    ),
    "sql-injection": (
        ["q = 'SELECT * FROM t WHERE a = ' + x", "flask.g.db.execute(q)", "return 'ok'"],
        ["flask.g.db.execute('SELECT * FROM t WHERE a = ?', (x,))", "return 'ok'"],
        ["x = int(x)", "flask.g.db.execute('SELECT * FROM t WHERE a = %d' % x)", "return 'ok'"],
    ),
    "cross-site-scripting": (
        ["return f'<p>{x}</p>'"],
        ["return f'<p>{flask.escape(x)}</p>'"],
        ["return flask.jsonify(x)"],
        ["return flask.render_template('a.html', x=x)"],
    ),
    "server-side-request-forgery": (
        ["import requests", "return requests.get(x, timeout=9).json()"],
        [
            "import requests",
            "from urllib.parse import urlparse",
            "if urlparse(x).hostname not in {'a.example'}:",
            "    flask.abort(400)",
            "return requests.get(x, timeout=9).json()",
        ],
        [
            "import requests",
            "from urllib.parse import urlparse",
            "parsed = urlparse(x)",
            "if parsed.netloc == 'a.example':",
            "    return requests.get(x, timeout=9).json()",
        ],
    ),
    "open-redirect": (
        ["return redirect(x)"],
        ["return redirect('/users/' + x)"],
        ["if is_safe_url(x):", "    return redirect(x)", "return 'no'"],
    ),
    "log-injection": (
        ["app.logger.info('by %s', x)", "return 'ok'"],
        ["app.logger.info('by %s', x.replace('\\n', ''))", "return 'ok'"],
        ["app.logger.info('by %r', repr(x))", "return 'ok'"],
    ),
    "header-injection": (
        ["r = flask.Response()", "r.headers['X-A'] = x", "return r"],
        ["r = flask.Response()", "r.headers['X-A'] = 'a'", "return r"],
    ),
    "regex-injection": (
        ["return str(re.search(x, 'abc') is None)"],
        ["return str(re.search(re.escape(x), 'abc') is None)"],
    ),
    "unsafe-deserialisation": (
        ["import pickle", "return pickle.loads(request.data)"],
        ["import json", "return json.loads(request.data)"],
    ),
    "ldap-injection": (
        ["import ldap", "c = ldap.initialize('l')", "return c.search_s('d', 2, f'(u={x})')"],
        [
            "import ldap",
            "from ldap.filter import escape_filter_chars",
            "c = ldap.initialize('l')",
            "return c.search_s('d', 2, f'(u={escape_filter_chars(x)})')",
        ],
    ),
    "xpath-injection": (
        ["from lxml import etree", "return etree.parse('a').xpath(f\"//u[@n='{x}']\")"],
        ["from lxml import etree", "return etree.parse('a').xpath('//u[@n=$n]', n=x)"],
    ),
    "xml-from-outside": (
        ["import xml.etree.ElementTree as ET", "return ET.fromstring(request.get_data()).tag"],
        ["import defusedxml.ElementTree as ET", "return ET.fromstring(request.get_data()).tag"],
    ),
}


@pytest.mark.parametrize("rule", VIEWS)
def test_what_comes_from_outside_is_followed_and_checks_are_seen(rule):
    faulty, *repaired = VIEWS[rule]
    assert rule in {found for _, found in hits(view(*faulty))}
    for lines in repaired:
        assert rule not in {found for _, found in hits(view(*lines))}, lines


def test_values_are_followed_through_functions_and_containers():
    source = FLASK + (
        "def helper(name):\n"
        "    parts = []\n"
        "    parts.append(name)\n"
        "    return read('/'.join(parts))\n"
        "def read(path):\n"
        "    return open(path)\n"
        "@app.route('/<name>')\n"
        "def view(name):\n"
        "    return helper(name)\n"
    )
    assert (10, "path-traversal") in hits(source)


def test_a_number_in_the_path_harms_nothing():
    source = FLASK + "@app.route('/<int:n>')\ndef view(n):\n    with open(f'/srv/{n}') as f:\n"
    source += "        return f.read()\n"
    assert not hits(source)


def test_a_check_in_one_branch_does_not_clean_the_other():
    source = view("if x == 'a':", "    y = x", "return redirect(x)")
    assert (10, "open-redirect") in hits(source)


def test_a_value_that_is_checked_after_its_use_is_found():
    source = view("r = redirect(x)", "if x not in ('/a',):", "    flask.abort(400)", "return r")
    assert (8, "open-redirect") in hits(source)


def test_the_value_before_a_failed_conversion_reaches_the_handler():
    source = (
        "import logging\n"
        "def f():\n"
        "    try:\n"
        "        x = input()\n"
        "        x = int(x)\n"
        "    except ValueError:\n"
        "        logging.error('bad ' + x)\n"
    )
    assert (7, "log-injection") in hits(source)
