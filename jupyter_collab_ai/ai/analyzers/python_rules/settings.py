"""Protections that are switched off, and ways of talking that anybody can read or change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .model import At, insecure
from .module import Module, argument, constant, keyword, leaves, names_in, words


@insecure(
    "certificate-not-checked",
    "CWE-295",
    "The server's certificate is not checked",
    "Anybody on the way — the Wi-Fi of a café is enough — can pretend to be the server and read "
    "or change everything. Leave the check on; for a private authority, give its certificate.",
    severity="error",
    confidence=0.85,
)
def certificate_not_checked(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        for item in call.keywords:
            off = constant(item.value)
            if item.arg in {"verify", "verify_ssl", "ssl_verify"} and off is False:
                if not name.endswith(("jwt.decode", ".jwt", "jwt.process_jwt")):
                    yield call
            if item.arg == "cert_reqs" and _is_none(module, item.value):
                yield call
        if name in {"ssl._create_unverified_context", "ssl.wrap_socket"}:
            yield call
    for node in module.all(ast.Assign):
        for target in node.targets:
            if not isinstance(target, ast.Attribute):
                continue
            off = constant(node.value) is False and target.attr in {"check_hostname", "verify"}
            off = off or (target.attr == "verify_mode" and _is_none(module, node.value))
            if off or target.attr == "_create_default_https_context":
                yield node


def _is_none(module: Module, node: ast.expr) -> bool:
    return module.name_of(node).endswith("CERT_NONE") or constant(node) == "CERT_NONE"


@insecure(
    "old-tls",
    "CWE-327",
    "An outdated version of TLS, or any, is allowed",
    "SSL 2 and 3 and TLS 1.0 and 1.1 have known holes. Use ssl.create_default_context(), or "
    "SSL.TLS_METHOD with set_min_proto_version.",
    confidence=0.7,
)
def old_tls(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Attribute):
        if re.match(
            r"PROTOCOL_(SSLv[23]|TLSv1(_1)?)$|(SSLv2|SSLv3|TLSv1|TLSv1_1)_METHOD$", node.attr
        ):
            yield node
    for call, name in module.calls:
        # pyOpenSSL checks no certificate unless told to.
        if name.endswith("SSL.Context") and "set_verify" not in _methods(module):
            yield call


def _methods(module: Module) -> set[str]:
    return {node.attr for node in module.all(ast.Attribute)}


@insecure(
    "token-not-verified",
    "CWE-347",
    "A signed token is read without checking its signature",
    "Whoever sends the token writes into it what they like: the input "
    '`{"user": "admin"}` with any signature makes them admin. Pass the key and the algorithms, '
    "and leave the verification on.",
    severity="error",
    confidence=0.9,
)
def token_not_verified(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        if "jwt" not in name.lower() and "jose" not in name.lower():
            continue
        if last in {"decode", "decode_complete"}:
            options = keyword(call, "options")
            off = isinstance(options, ast.Dict) and any(
                constant(key) == "verify_signature" and constant(value) is False
                for key, value in zip(options.keys, options.values, strict=True)
            )
            algorithms = keyword(call, "algorithms")
            if off or constant(keyword(call, "verify")) is False or _allows_none(algorithms):
                yield call
        elif last in {"process_jwt", "get_unverified_claims"}:
            checked = any(other.endswith(("verify_jwt", "jwt.decode")) for _, other in module.calls)
            if not checked:
                yield call


def _allows_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.List) and any(
        str(constant(one)).lower() == "none" for one in node.elts
    )


@insecure(
    "cookie-without-protection",
    "CWE-614",
    "A cookie is set without `secure` or `httponly`",
    "Without secure=True the cookie travels over plain HTTP, too, where anybody on the way reads "
    "it; without httponly=True a script on the page does. Pass both, and samesite='Lax'.",
    confidence=0.6,
)
def cookie_without_protection(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name.rpartition(".")[2] != "set_cookie" or any(not one.arg for one in call.keywords):
            continue
        if _keeps_cookies(call, name):
            continue
        for wanted in ("secure", "httponly"):
            value = keyword(call, wanted)
            if value is None or constant(value) is False:
                yield call
                break
    for node in module.all(ast.Assign):
        name = module.name_of(node.targets[0])
        target = node.targets[0]
        if isinstance(target, ast.Subscript):
            name = str(constant(target.slice))
        if re.search(r"(SESSION|CSRF)_COOKIE_(SECURE|HTTPONLY)$", name) and (
            constant(node.value) is False
        ):
            yield node


def _keeps_cookies(call: ast.Call, name: str) -> bool:
    """Tell whether a client keeps a cookie that it was given: the jars of http.cookiejar."""
    owner = name.rpartition(".")[0].rpartition(".")[2].lower()
    if "jar" in owner or owner == "cookies":
        return True
    alone = len(call.args) == 1 and not call.keywords
    return alone and not isinstance(call.args[0], ast.Constant | ast.JoinedStr)


@insecure(
    "debug-mode",
    "CWE-489",
    "The debugger of the server is on",
    "On an error, the page shows code and values and, with Werkzeug, runs Python for whoever "
    "asks. Switch it on by an environment variable on your own machine only.",
    confidence=0.8,
)
def debug_mode(module: Module) -> Iterator[ast.AST]:
    web = any(
        one.split(".")[0] in {"flask", "django", "bottle", "quart"}
        for one in module.imports.values()
    )
    for call, name in module.calls:
        if name.endswith((".run", "uvicorn.run")) and constant(keyword(call, "debug")) is True:
            yield call
    for node in module.all(ast.Assign):
        target = node.targets[0]
        on = constant(node.value) is True
        if on and isinstance(target, ast.Attribute) and target.attr == "debug" and web:
            yield node
        elif on and isinstance(target, ast.Name) and target.id == "DEBUG":
            if any(
                isinstance(one, ast.Name) and one.id in {"INSTALLED_APPS", "ALLOWED_HOSTS"}
                for one in module.nodes
            ):
                yield node
        elif on and isinstance(target, ast.Subscript) and constant(target.slice) == "DEBUG":
            yield node


@insecure(
    "error-shown-to-visitor",
    "CWE-209",
    "The details of an error are sent to whoever asked",
    "A traceback or the text of an exception tells strangers about files, tables and versions: "
    "any input that makes the code fail is enough. Log it and answer with a fixed sentence.",
    confidence=0.65,
)
def error_shown_to_visitor(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        if not any(
            isinstance(one, ast.Call)
            and module.name_of(one.func).endswith((".route", ".get", ".post"))
            for one in function.decorator_list
        ):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                told = [
                    module.name_of(one.func)
                    for one in ast.walk(node.value)
                    if isinstance(one, ast.Call)
                ]
                if any(name.startswith("traceback.format_") for name in told):
                    yield node


@insecure(
    "cleartext-protocol",
    "CWE-319",
    "Passwords travel over a protocol without encryption",
    "FTP, Telnet and plain HTTP send everything readable: whoever sits on the way sees the "
    "password. Use SFTP, SSH, FTP_TLS or HTTPS.",
    confidence=0.7,
)
def cleartext_protocol(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"ftplib.FTP", "telnetlib.Telnet"}:
            yield call
        elif name.startswith("requests.") and call.args:
            text = constant(call.args[0])
            secret = keyword(call, "auth") or (
                names_in([one for one in (keyword(call, "data"), keyword(call, "json")) if one])
                & {"password", "passwd", "token", "credentials"}
            )
            if isinstance(text, str) and text.startswith("http://") and secret:
                if not re.match(r"http://(localhost|127\.|\[::1)", text):
                    yield call
        elif name in {"smtplib.SMTP"} and "login" in _methods(module):
            if "starttls" not in _methods(module):
                yield call


@insecure(
    "world-writable",
    "CWE-732",
    "Everybody on the machine may change or run this file",
    "With these rights any other user of the machine reads, replaces or runs it. Give the owner "
    "rights only: 0o600 for files, 0o700 for folders.",
    confidence=0.6,
)
def world_writable(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"os.chmod", "os.fchmod", "os.lchmod"}:
            mode = constant(argument(call, 1, "mode"))
            # Another's right to write, or to run what was just made.
            if isinstance(mode, int) and (mode & 0o022 or mode & 0o007 == 0o005):
                yield call


@insecure(
    "temporary-name",
    "CWE-377",
    "The name of a temporary file is made up before the file is",
    "Between mktemp() and open(), somebody else on the machine may put a file or a link of that "
    "name there and read or redirect what is written. Use NamedTemporaryFile or mkstemp().",
    confidence=0.9,
)
def temporary_name(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"tempfile.mktemp", "os.tempnam", "os.tmpnam"}:
            yield call


@insecure(
    "check-then-use",
    "CWE-367",
    "The file is checked first and opened later",
    "Between the two another program may remove or replace it: then open() fails all the same, "
    "or opens something else. Just open it and handle FileNotFoundError.",
    severity="info",
    confidence=0.4,
)
def check_then_use(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.If):
        test = node.test
        if not isinstance(test, ast.Call) or not test.args:
            continue
        if module.name_of(test.func) not in {"os.path.exists", "os.path.isfile", "os.access"}:
            continue
        asked = ast.unparse(test.args[0])
        for one in node.body:
            for call in ast.walk(one):
                if isinstance(call, ast.Call) and module.name_of(call.func) == "open" and call.args:
                    if ast.unparse(call.args[0]) == asked:
                        yield node


@insecure(
    "entities-resolved",
    "CWE-611",
    "The XML parser resolves external entities",
    'A document with `<!ENTITY x SYSTEM "file:///etc/passwd">` puts the file\'s content into '
    "what is read. Use XMLParser(resolve_entities=False, no_network=True) or defusedxml.",
    confidence=0.75,
)
def entities_resolved(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name.endswith("etree.XMLParser") and "lxml" in name:
            value = keyword(call, "resolve_entities")
            if value is None or constant(value) is True:
                yield call
        elif name.endswith("XSLTAccessControl") and constant(keyword(call, "read_network")) is True:
            yield call
        elif name.rpartition(".")[2] == "setFeature" and len(call.args) == 2:
            feature = module.name_of(call.args[0])
            if "external" in feature and constant(call.args[1]) in (True, 1):
                yield call


@insecure(
    "archive-extracted-unchecked",
    "CWE-22",
    "An archive is extracted wherever its names lead",
    "An archive may hold names such as `../../etc/cron.d/x`: extracting it writes files outside "
    "of the folder. Pass filter='data' to tarfile, or check each name first.",
    confidence=0.7,
)
def archive_extracted_unchecked(module: Module) -> Iterator[ast.AST]:
    tar = any(name.startswith("tarfile") for name in module.imports.values())
    archives = words("extract extractall")
    for call, name in module.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in archives or not tar:
            continue
        scope = module.scope_of(call)
        checks = any(
            isinstance(one, ast.If) and leaves(one.body) for one in ast.walk(scope)
        ) or any(
            re.search(r"safe|check|valid|commonp|realpath|startswith", other)
            for one, other in module.calls
            if module.scope_of(one) is scope
        )
        zipped = "zip" in name.lower()
        if not checks and not zipped and keyword(call, "filter") is None:
            if keyword(call, "members") is None:
                yield call


@insecure(
    "timing-comparison",
    "CWE-208",
    "A secret is compared in a way whose duration tells how much of it was right",
    "== stops at the first difference. By measuring, somebody finds a signature byte by byte. "
    "Use hmac.compare_digest().",
    confidence=0.65,
)
def timing_comparison(module: Module) -> Iterator[ast.AST | At]:
    made = re.compile(
        r"(^|_)(hmac|digest|signature|sig|mac|hash|api_?key|csrf\w{0,60})(_\w{1,60})?$", re.I
    )
    for node in module.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = [node.left, node.comparators[0]]
        if any(isinstance(one, ast.Constant) for one in sides):
            continue
        names = [module.name_of(one).rpartition(".")[2] for one in sides]
        calls = [
            one.func.attr
            for one in sides
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
        ]
        secret = any(name in {"hexdigest", "digest"} for name in calls) and "hmac" in (
            module.imports.values()
        )
        if secret or (all(made.search(name) for name in names) and "hmac" in module.imports):
            yield node
    for function in module.functions:
        if re.search(r"passw|token|secret|signature|digest|hmac", function.name, re.I):
            yield from _byte_by_byte(function)


def _byte_by_byte(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    for loop in ast.walk(function):
        if not isinstance(loop, ast.For):
            continue
        for node in loop.body:
            if (
                isinstance(node, ast.If)
                and isinstance(node.test, ast.Compare)
                and isinstance(node.test.left, ast.Subscript)
                and isinstance(node.test.comparators[0], ast.Subscript)
                and leaves(node.body)
            ):
                yield node


@insecure(
    "host-pattern-too-wide",
    "CWE-20",
    "A dot in the name of a host stands for any character",
    "In a regular expression a dot matches everything: `www.example.com` also matches "
    "`wwwxexample.com`, which anybody can register; and without ^ or an end the name may stand "
    "anywhere. Write `\\.` and use fullmatch().",
    confidence=0.6,
)
def host_pattern_too_wide(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"re.compile", "re.match", "re.search", "re.fullmatch"} and call.args:
            text = constant(call.args[0])
            if isinstance(text, str) and re.search(
                r"(?<!\\)[a-z0-9)]\.[a-z]+(?<!\\)\.(com|org|net|io|edu|gov)\b", text
            ):
                yield call


@insecure(
    "tags-removed-by-pattern",
    "CWE-116",
    "HTML is made harmless with a regular expression",
    "Browsers forgive what the pattern does not know: `</script >`, `<img onerror=…>` and "
    "comments get through. Escape everything, or use a library such as nh3.",
    confidence=0.75,
)
def tags_removed_by_pattern(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"re.sub", "re.compile"} and call.args:
            text = constant(call.args[0])
            if isinstance(text, str) and re.search(r"<\W{0,20}script", text, re.IGNORECASE):
                yield call


@insecure(
    "autoescape-off",
    "CWE-79",
    "Templates put values into the page without escaping",
    "jinja2.Environment does not escape unless told to: with the name `<script>…</script>` the "
    "script runs in every visitor's browser. Pass autoescape=True or select_autoescape().",
    confidence=0.75,
)
def autoescape_off(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name.endswith("jinja2.Environment") or name == "jinja2.environment.Environment":
            value = keyword(call, "autoescape")
            if value is None or constant(value) is False:
                yield call
