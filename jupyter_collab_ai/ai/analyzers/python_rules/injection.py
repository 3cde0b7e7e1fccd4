"""Where an untrusted value arrives at a place at which it does harm."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .flow import Flow
from .model import Hit, Rule, Severity, check
from .module import (
    Function,
    Module,
    argument,
    constant,
    enclosing,
    inside,
    keyword,
    names_in,
    words,
)
from .trust import PARAMETER, REMOTE, TYPED, Taint, is_request


@dataclass(frozen=True)
class Sink:
    """One kind of harm."""

    rule: Rule
    #: What a value has to be cleaned for.
    kind: str
    #: What the value is at least: of a caller, of a person at the keyboard, of the network.
    level: int = REMOTE
    #: Whether a parameter does harm only where it was put into a longer text.
    built: bool = False


def _sink(
    id: str,  # noqa: A002 - the standard name
    kind: str,
    cwe: str,
    title: str,
    explanation: str,
    *,
    severity: Severity = "error",
    level: int = REMOTE,
    built: bool = False,
) -> Sink:
    rule = Rule(id, "security", severity, 0.85, title, explanation, f"CWE-{cwe}")
    return Sink(rule, kind, level, built)


PATH = _sink(
    "path-traversal", "path", "22", "A path from outside is opened as it is",
    "The name of the file comes from outside. With `../../etc/passwd`, or a name that begins "
    "with `/`, a file outside of the intended folder is read, written or deleted. Keep the last "
    "part only (os.path.basename, secure_filename), or resolve the path and check that it is "
    "still inside the folder.", level=TYPED,
)  # fmt: skip
COMMAND = _sink(
    "command-injection", "shell", "78", "Text from outside becomes a part of a shell command",
    "A shell reads this text. Input such as `x; rm -rf ~` ends the command and begins another. "
    "Pass a list of arguments without a shell, or quote each part with shlex.quote().",
    level=PARAMETER,
)  # fmt: skip
CODE = _sink(
    "code-injection", "code", "94", "Text from outside is run as Python",
    "Whoever chooses this text can do everything that the program can: the input "
    "`__import__('os').system('id')` runs a command. Use ast.literal_eval() for values, or a "
    "table of what is allowed.", level=PARAMETER,
)  # fmt: skip
TEMPLATE = _sink(
    "template-injection", "code", "1336", "A template from outside is run",
    "Templates can reach Python's objects: the input `{{ ''.__class__.__mro__ }}` is the first "
    "step to running commands. Keep the template fixed and pass the text as a value.",
)  # fmt: skip
SQL = _sink(
    "sql-injection", "sql", "89", "Text from outside becomes a part of an SQL statement",
    "The statement is put together from text. The input `' OR '1'='1` changes what it asks, and "
    "`'; DROP TABLE users; --` may delete a table. Leave a placeholder in the text (? or %s) and "
    "pass the value beside it.", level=PARAMETER, built=True,
)  # fmt: skip
XSS = _sink(
    "cross-site-scripting", "html", "79", "Text from outside is sent as a page without escaping",
    "The browser takes what is sent for HTML. The input `<script>…</script>` runs in the browser "
    "of whoever opens the link, with that person's rights. Escape it (markupsafe.escape, "
    "html.escape) or use a template that does.",
)  # fmt: skip
SSRF = _sink(
    "server-side-request-forgery", "url", "918", "The server requests an address from outside",
    "Whoever chooses this address makes the server ask machines that only it can reach: "
    "`http://169.254.169.254/` gives away a cloud's credentials. Check the host against a list.",
    level=TYPED,
)  # fmt: skip
REDIRECT = _sink(
    "open-redirect", "redirect", "601", "The browser is sent to an address from outside",
    "A link to this site with `?next=https://evil.example` leads to somebody else's page, which "
    "may look like this one and ask for the password. Allow paths of this site only, or a list "
    "of hosts.",
)  # fmt: skip
LDAP = _sink(
    "ldap-injection", "ldap", "90", "Text from outside becomes a part of an LDAP query",
    "The input `*)(uid=*` changes what the filter asks, so that it matches everybody. Escape "
    "values with escape_filter_chars() and names with escape_dn_chars().",
)  # fmt: skip
XPATH = _sink(
    "xpath-injection", "xpath", "643", "Text from outside becomes a part of an XPath query",
    "The input `' or '1'='1` changes what the query asks and returns everything. Pass the value "
    "as a variable of the query, or check it.",
)  # fmt: skip
LOG = _sink(
    "log-injection", "log", "117", "Text from outside is written to the log as it is",
    "A line feed in the input begins a new line, so that anybody can forge entries of the log. "
    "Replace line breaks before, or log repr().", severity="warning", level=TYPED,
)  # fmt: skip
HEADER = _sink(
    "header-injection", "header", "113", "Text from outside becomes a header of the answer",
    "With a line break in it, the input adds headers of its own; and a type such as text/html "
    "makes the browser run scripts. Allow known values only.", severity="warning",
)  # fmt: skip
REGEX = _sink(
    "regex-injection", "regex", "730", "A regular expression from outside is run",
    "A pattern such as `(a+)+$` takes years on a text of forty letters, and the server stands "
    "still. Use re.escape() for text that is searched for literally.",
)  # fmt: skip
UNPICKLED = _sink(
    "unsafe-deserialisation", "pickle", "502", "Data from outside is unpickled",
    "pickle, marshal, shelve, dill and yaml.load build whatever the data describe, and run code "
    "while they do. Whoever sends the data runs commands here. Use JSON or yaml.safe_load().",
    level=PARAMETER,
)  # fmt: skip
XML = _sink(
    "xml-from-outside", "xml", "776", "XML from outside is parsed without limits",
    "Entities that name each other ten times over (“billion laughs”) fill the memory, and "
    "entities that name files read them, where the parser resolves them. Use defusedxml.",
    severity="warning",
)  # fmt: skip

_OPENERS = words(
    "open io.open codecs.open os.open os.remove os.unlink os.rmdir os.mkdir os.makedirs "
    "os.listdir os.scandir os.rename os.replace os.chmod shutil.rmtree shutil.copy "
    "shutil.copyfile shutil.copytree shutil.move flask.send_file send_file aiofiles.open "
    "gzip.open zipfile.ZipFile tarfile.open django.http.FileResponse "
    "starlette.responses.FileResponse fastapi.responses.FileResponse os.chdir os.walk "
    "numpy.load pandas.read_csv os.startfile importlib.import_module"
)
_OPENING = words("read_text read_bytes write_text write_bytes unlink open rmdir iterdir save")
_SHELLS = words(
    "os.system os.popen subprocess.getoutput subprocess.getstatusoutput commands.getoutput "
    "os.popen2 os.popen3 popen2.popen2 asyncio.create_subprocess_shell platform.popen"
)
_PROGRAMS = words(
    "subprocess.run subprocess.call subprocess.Popen subprocess.check_call subprocess.check_output"
)
_EXECUTED = words("os.execl os.execv os.execlp os.execvp os.spawnl os.spawnv os.spawnlp")
_CODE = words("eval exec compile builtins.eval builtins.exec code.interact")
_STATEMENTS = words(
    "execute executemany executescript raw execute_sql mogrify read_sql read_sql_query "
    "RawSQL query_raw fetchrow fetchval"
)
_REQUESTERS = words(
    "urllib.request.urlopen urllib.request.urlretrieve urllib.request.Request urllib.urlopen "
    "urllib2.urlopen urllib2.Request httplib.HTTPConnection http.client.HTTPConnection "
    "http.client.HTTPSConnection aiohttp.request pycurl.setopt wget.download"
)
_HTTP = words("requests httpx urllib3 session client aiohttp")
_VERBS = words("get post put delete patch head options request stream")
_PICKLES = words(
    "pickle.loads pickle.load cPickle.loads cPickle.load _pickle.loads _pickle.load dill.loads "
    "dill.load marshal.loads marshal.load shelve.open jsonpickle.decode "
    "jsonpickle.unpickler.decode pickle.Unpickler yaml.unsafe_load yaml.full_load joblib.load "
    "cloudpickle.loads pandas.read_pickle torch.load yaml.load_all"
)
_LOGGERS = words("debug info warning warn error critical exception log fatal")
_ANSWERS = words(
    "flask.make_response make_response flask.Response Response django.http.HttpResponse "
    "HttpResponse starlette.responses.HTMLResponse fastapi.responses.HTMLResponse HTMLResponse "
    "aiohttp.web.Response django.http.HttpResponseNotFound django.http.HttpResponseBadRequest "
    "werkzeug.wrappers.Response bottle.HTTPResponse"
)
_TRUSTED_HTML = words(
    "markupsafe.Markup flask.Markup jinja2.Markup Markup django.utils.safestring.mark_safe "
    "mark_safe django.utils.safestring.SafeString django.utils.html.mark_safe"
)
_REDIRECTS = words(
    "flask.redirect redirect django.shortcuts.redirect django.http.HttpResponseRedirect "
    "HttpResponseRedirect django.http.HttpResponsePermanentRedirect "
    "starlette.responses.RedirectResponse fastapi.responses.RedirectResponse "
    "werkzeug.utils.redirect aiohttp.web.HTTPFound RedirectResponse bottle.redirect"
)
_PATTERNS = words(
    "re.compile re.search re.match re.fullmatch re.findall re.finditer re.sub re.split"
)
_TEMPLATES = words(
    "flask.render_template_string render_template_string jinja2.Template mako.template.Template "
    "django.template.Template tornado.template.Template"
)
_XML = words(
    "xml.etree.ElementTree.fromstring xml.etree.ElementTree.parse xml.etree.ElementTree.XML "
    "xml.dom.minidom.parseString xml.dom.minidom.parse xml.sax.parseString xml.sax.parse "
    "xml.etree.cElementTree.fromstring lxml.etree.fromstring lxml.etree.parse lxml.etree.XML "
    "xml.dom.pulldom.parseString xmltodict.parse"
)

_SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|REPLACE|WITH|TRUNCATE|GRANT)\b", re.I
)
_LDAP_SEARCHES = words("search search_s search_ext_s search_st search_ext")
_XPATH_SEARCHES = words("xpath findall iterfind find findtext")
_HEADER_SETTERS = words("add set add_header set_header send_header setdefault")

#: Frameworks in which a text that is returned is a page, and their decorators besides `route`.
_PAGE_FRAMEWORKS = ("flask", "quart", "bottle")
_PAGE_ROUTES = words("get post put delete patch")

Places = Iterator[tuple[Sink, "ast.expr | None", ast.AST]]


def _calls(module: Module) -> Places:
    for call, name in module.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        owner = module.name_of(receiver)
        first = argument(call, 0)
        if name in _OPENERS:
            for arg in call.args[:2] if name.startswith(("os.re", "shutil.")) else call.args[:1]:
                yield PATH, arg, call
        elif method in _OPENING:
            yield PATH, first if method == "save" and len(call.args) == 1 else receiver, call
        if name in _SHELLS or method in {"exec_command"}:
            yield COMMAND, first, call
        elif name in _PROGRAMS:
            if constant(keyword(call, "shell")) is True:
                yield COMMAND, first or keyword(call, "args"), call
            else:
                yield COMMAND, _program(first), call
        elif name in _EXECUTED:
            yield COMMAND, first, call
        if name in _CODE:
            yield CODE, first, call
        if name in _TEMPLATES or (method == "from_string" and receiver is not None):
            yield TEMPLATE, first, call
        if method in _STATEMENTS or name == "sqlalchemy.text":
            yield SQL, first, call
        if name in _REQUESTERS:
            yield SSRF, first, call
        elif method in _VERBS and owner.partition(".")[0] in _HTTP:
            yield SSRF, argument(call, 1 if method in {"request", "stream"} else 0, "url"), call
        if name in _REDIRECTS:
            yield REDIRECT, argument(call, 0, "location"), call
        if owner.rpartition(".")[2] in {"response", "resp"} and method == "redirect":
            yield REDIRECT, first, call
        if name in _PICKLES or (name == "yaml.load" and not _safe_loader(module, call)):
            yield UNPICKLED, first, call
        if method in _LOGGERS and _is_logger(owner):
            for arg in _written_as_they_are(call):
                yield LOG, arg, call
        yield from _answers(module, call, name, method, owner)


def _written_as_they_are(call: ast.Call) -> list[ast.expr]:
    """Return what a log gets with its line breaks: not what `%r` or `%d` puts in."""
    text = constant(call.args[0]) if call.args else None
    if not isinstance(text, str):
        return call.args
    kinds = re.findall(r"%[-+ #0-9.]*([a-zA-Z])", text.replace("%%", ""))
    if len(kinds) != len(call.args) - 1:
        return call.args
    return [arg for arg, kind in zip(call.args[1:], kinds, strict=True) if kind == "s"]


def _answers(module: Module, call: ast.Call, name: str, method: str, owner: str) -> Places:
    first = argument(call, 0)
    if name in _ANSWERS:
        kind = keyword(call, "content_type") or keyword(call, "mimetype")
        kind = kind or keyword(call, "media_type")
        if kind is None or "html" in str(constant(kind)):
            yield XSS, argument(call, 0, "content"), call
    if name in _TRUSTED_HTML:
        yield XSS, first, call
    if owner == "self" and method == "write":
        function = enclosing(module, call)
        # Tornado writes a table as JSON.
        if first is None or function is None or not _becomes_json(module, function, first):
            yield XSS, first, call
    if name == "self.wfile.write":
        yield XSS, first, call
    if method in _LDAP_SEARCHES and _imports(module, "ldap"):
        for arg in [*call.args, keyword(call, "search_filter")]:
            yield LDAP, arg, call
    if method in _XPATH_SEARCHES and _imports(module, "etree", "lxml"):
        yield XPATH, first, call
    if name in {"lxml.etree.XPath", "lxml.etree.ETXPath"}:
        yield XPATH, first, call
    if name in _PATTERNS:
        yield REGEX, first, call
    if name in _XML:
        yield XML, first, call
    if method in _HEADER_SETTERS and "header" in f"{owner}{method}".lower() and len(call.args) > 1:
        sink = REDIRECT if str(constant(first)).lower() == "location" else HEADER
        yield sink, call.args[1], call


def _imports(module: Module, *parts: str) -> bool:
    return any(part in name for part in parts for name in module.imports.values())


def _program(node: ast.expr | None) -> ast.expr | None:
    """Return which program is started where no shell is: the first of the list."""
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        first = node.elts[0]
        texts = [constant(part) for part in node.elts]
        if texts[:2] in (["sh", "-c"], ["bash", "-c"], ["/bin/sh", "-c"], ["/bin/bash", "-c"]):
            return node.elts[2] if len(node.elts) > 2 else None
        return None if isinstance(first, ast.Starred) else first
    return None


def _safe_loader(module: Module, call: ast.Call) -> bool:
    loader = module.name_of(argument(call, 1, "Loader"))
    return loader.endswith(("SafeLoader", "BaseLoader"))


def _is_logger(owner: str) -> bool:
    last = owner.rpartition(".")[2].lower()
    return last in {"log", "logger", "logging", "_logger", "_log"} or last.endswith("logger")


def _stores(module: Module) -> Places:
    for node in module.all(ast.Assign):
        for target in node.targets:
            if not isinstance(target, ast.Subscript):
                continue
            owner, _, last = module.name_of(target.value).rpartition(".")
            header = str(constant(target.slice)).lower()
            if (last == "headers" and owner) or (
                last in {"response", "resp"} and ("-" in header or header == "location")
            ):
                yield (REDIRECT if header == "location" else HEADER), node.value, node


def _pages(module: Module) -> Places:
    """Return what functions that answer a browser return."""
    # FastAPI and others write what is returned as JSON, whatever it is.
    pages = _imports(module, *_PAGE_FRAMEWORKS)
    for function in module.functions:
        routed = any(
            isinstance(one, ast.Call)
            and isinstance(one.func, ast.Attribute)
            and (one.func.attr == "route" or (pages and one.func.attr in _PAGE_ROUTES))
            for one in function.decorator_list
        )
        if not routed:
            continue
        for node in inside(function.body):
            if isinstance(node, ast.Return) and node.value is not None:
                value = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
                if not _becomes_json(module, function, value):
                    yield XSS, value, node


def _becomes_json(module: Module, function: Function, value: ast.expr) -> bool:
    """Tell whether a value is a table or list, which is sent as JSON."""
    if isinstance(value, ast.Name):
        given = [
            node.value
            for node in inside(function.body)
            if isinstance(node, ast.Assign)
            and any(isinstance(one, ast.Name) and one.id == value.id for one in node.targets)
        ]
        return any(
            _becomes_json(module, function, one) for one in given if not isinstance(one, ast.Name)
        )
    if isinstance(value, ast.Call):
        name = module.name_of(value.func)
        return name == "dict" or name.endswith((".get_json", ".to_dict", ".model_dump"))
    if isinstance(value, ast.Attribute):
        return value.attr == "json" and is_request(module.name_of(value.value))
    return isinstance(
        value, ast.Dict | ast.List | ast.Tuple | ast.ListComp | ast.DictComp | ast.GeneratorExp
    )


_LEVELS: dict[int, tuple[Severity, float]] = {
    REMOTE: ("error", 0.85),
    TYPED: ("warning", 0.6),
    PARAMETER: ("warning", 0.5),
}


@check
def injections(module: Module) -> Iterator[Hit]:
    """Find every place at which an untrusted value does harm."""
    flow = Flow(module)
    finders: tuple[Callable[[Module], Places], ...] = (_calls, _stores, _pages)
    for finder in finders:
        for sink, value, node in finder(module):
            taint = flow.of(value)
            if taint is not None and _harms(module, sink, value, taint):
                yield Hit(_graded(sink, taint), node)


def _harms(module: Module, sink: Sink, value: ast.expr | None, taint: Taint) -> bool:
    if taint.level < sink.level or sink.kind in taint.clean:
        return False
    if sink is REDIRECT and taint.prefixed:
        # What leads is fixed: it stays on the host that is written there.
        return False
    if sink is COMMAND and taint.level == PARAMETER:
        return taint.built
    if sink is SQL:
        return taint.built and (taint.level > PARAMETER or _is_statement(module, value))
    return True


def _is_statement(module: Module, value: ast.expr | None) -> bool:
    """Tell whether a text, or what a name stands for, begins as an SQL statement does."""
    sources = [value]
    if isinstance(value, ast.Name):
        scope = module.scope_of(value)
        sources = [
            node.value
            for node in inside(getattr(scope, "body", []))
            if isinstance(node, ast.Assign | ast.AugAssign)
            and value.id
            in names_in(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        ]
    return any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) and _SQL.match(one.value)
        for source in sources
        if source is not None
        for one in ast.walk(source)
    )


def _graded(sink: Sink, taint: Taint) -> Rule:
    severity, confidence = _LEVELS[taint.level]
    if sink.rule.severity != "error" and severity == "error":
        severity = sink.rule.severity
    if sink is SSRF and taint.prefixed:
        severity, confidence = "info", 0.5
    return replace(sink.rule, severity=severity, confidence=confidence)
