"""Where untrusted values come from, and what makes them harmless for which use: the tables."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

from .module import Function, Module, argument, constant, parameters, words

#: What a value can be harmless for.
KINDS = words("path shell code sql html url redirect ldap xpath log header regex xml pickle")
#: It was brought into its plain form; a check of its beginning means something now.
PLAIN = "plain"

PARAMETER, TYPED, REMOTE = 1, 2, 3
MOST_ROOTS = 8


@dataclass(frozen=True)
class Taint:
    """A value that somebody else may choose."""

    #: How little it can be trusted: a caller, a person at the keyboard, anybody on the network.
    level: int
    #: The uses for which it is harmless by now.
    clean: frozenset[str] = frozenset()
    #: Whether it was put into a longer text.
    built: bool = False
    #: Whether that text begins with something fixed.
    prefixed: bool = False
    #: Names of variables from which it was made: a check of one is a check of the other.
    roots: frozenset[str] = frozenset()

    def cleaned(self, kinds: frozenset[str]) -> Taint | None:
        """Return what is left after a check or a conversion."""
        clean = self.clean | kinds
        return None if clean >= KINDS else replace(self, clean=clean)

    def read_from(self, name: str) -> Taint:
        """Return it as the value of a variable."""
        return replace(self, roots=self.roots | {name}) if len(self.roots) < MOST_ROOTS else self


def join(*taints: Taint | None) -> Taint | None:
    """Return what a value is that may be any of these, or holds all of them."""
    known = [taint for taint in taints if taint is not None]
    if not known:
        return None
    if len(known) == 1:
        return known[0]
    level = max(taint.level for taint in known)
    strong = [taint for taint in known if taint.level == level]
    clean = strong[0].clean
    for taint in strong[1:]:
        clean &= taint.clean
    return Taint(
        level,
        clean,
        any(taint.built for taint in known),
        all(taint.prefixed for taint in strong),
        strong[0].roots.union(*[taint.roots for taint in strong[1:]]),
    )


#: The members of a web framework's request that the other side chooses.
REQUEST_PARTS = words(
    "args form values json data files cookies headers query_string get_json get_data stream "
    "view_args GET POST COOKIES FILES META body query_params path_params query params raw_data "
    "get_argument get_body_argument get_query_argument get_cookie full_path rel_url match_info "
    "forms text read"
)
#: What goes by the name of a request where it is a module's own.
_REQUEST = re.compile(r"^(flask|bottle|quart|sanic|self|cherrypy|web)\.request$|^(request|req)$")
_TYPED = words("input raw_input sys.stdin.read sys.stdin.readline getpass.getpass sys.stdin")
_HANDLER_PARTS = words("path rfile headers")
_ROUTES = words("route get post put delete patch websocket api_route view add_url_rule head")
_VIEWS = re.compile(r"(View|Resource|RequestHandler|HTTPEndpoint|APIView|ViewSet|Handler)$")
_CONVERTER = re.compile(r"<(int|float|uuid):(\w+)>")
_HARMLESS_TYPES = words(
    "int float bool UUID datetime date Request HttpRequest Response Session AsyncSession Decimal "
    "uuid.UUID datetime.date datetime.datetime BackgroundTasks WebSocket Depends"
)

_ALL = KINDS
_NUMBERS = words(
    "int float len bool abs round hash id isinstance ord uuid.UUID ipaddress.ip_address complex "
    "ipaddress.ip_network decimal.Decimal datetime.datetime.strptime datetime.date.fromisoformat "
    "ObjectId bson.ObjectId hashlib.sha256 hashlib.sha512 hashlib.sha1 hashlib.md5 any all sum "
    "hashlib.new hmac.new hashlib.blake2b type hasattr callable"
)
#: What a call makes its first argument harmless for, by the end of the name of what is called.
CLEANERS: dict[str, frozenset[str]] = {
    "secure_filename": words("path header shell"),
    "get_valid_filename": words("path header shell"),
    "os.path.basename": words("path"),
    "ntpath.basename": words("path"),
    "safe_join": words("path"),
    "shlex.quote": words("shell"),
    "pipes.quote": words("shell"),
    "html.escape": words("html"),
    "cgi.escape": words("html"),
    "markupsafe.escape": words("html"),
    "flask.escape": words("html"),
    "django.utils.html.escape": words("html"),
    "conditional_escape": words("html"),
    "format_html": words("html"),
    "escapejs": words("html"),
    "strip_tags": words("html"),
    "xml.sax.saxutils.escape": words("html"),
    "bleach.clean": words("html"),
    "bleach.linkify": words("html"),
    "nh3.clean": words("html"),
    "flask.render_template": words("html"),
    "flask.jsonify": words("html"),
    "json.dumps": words("log header"),
    "urllib.parse.quote": words("html url redirect path header log xpath ldap"),
    "urllib.parse.quote_plus": words("html url redirect path header log xpath ldap"),
    "urllib.parse.urlencode": words("html url redirect path header log"),
    "werkzeug.urls.url_quote": words("html url redirect path header log"),
    "re.escape": words("regex"),
    "escape_filter_chars": words("ldap"),
    "escape_dn_chars": words("ldap"),
    "escape_rdn": words("ldap"),
    "ast.literal_eval": words("code"),
    "repr": words("log header"),
    "ascii": words("log header"),
    "flask.url_for": words("redirect url"),
    "django.urls.reverse": words("redirect url"),
    "os.path.realpath": frozenset({PLAIN}),
    "os.path.abspath": frozenset({PLAIN}),
    "os.path.normpath": frozenset({PLAIN}),
    "base64.b64encode": words("log header html path shell sql ldap xpath"),
    "base64.urlsafe_b64encode": words("log header html path shell sql ldap xpath"),
    "binascii.hexlify": _ALL,
}
#: The same, by the name of a method.
METHOD_CLEANERS: dict[str, frozenset[str]] = {
    "resolve": frozenset({PLAIN}),
    "hexdigest": _ALL,
    "isdigit": _ALL,
    "replace": frozenset(),
    "splitlines": words("log header"),
    "escape_string": words("sql"),
    "real_escape_string": words("sql"),
    "mogrify": words("sql"),
}
#: Calls that hand their arguments on, besides methods of what is tainted.
CARRIERS = words(
    "str bytes bytearray list tuple set frozenset dict sorted reversed iter next map filter zip "
    "enumerate min max format repr ascii os.path.join os.path.expanduser os.path.expandvars "
    "os.path.splitext os.path.dirname os.fsdecode os.fsencode pathlib.Path pathlib.PurePath "
    "pathlib.PosixPath io.StringIO io.BytesIO urllib.parse.unquote urllib.parse.unquote_plus "
    "urllib.parse.urljoin urllib.parse.urlparse urllib.parse.urlsplit urllib.parse.parse_qs "
    "urllib.parse.urlunparse json.loads json.dumps base64.b64decode base64.decodebytes "
    "base64.urlsafe_b64decode base64.standard_b64decode base64.b32decode base64.decodestring "
    "codecs.decode codecs.encode binascii.unhexlify bytes.fromhex zlib.decompress "
    "gzip.decompress html.unescape re.sub textwrap.dedent copy.copy copy.deepcopy getattr "
    "string.Template operator.itemgetter sqlalchemy.text flask.escape asyncio.to_thread "
    "collections.OrderedDict markupsafe.escape unicodedata.normalize StringIO.StringIO"
)
#: Names of functions that check or clean what they are given, whoever wrote them.
CHECKING = re.compile(
    r"(^|_|\.)(is_?)?(valid|safe|allowed|check|verify|ensure|permitted|whitelist|allowlist"
    r"|sanitiz|sanitis|validat|escape|clean|assert|authoriz|in_range|filter)",
    re.IGNORECASE,
)
#: Methods that tell that a text holds letters and digits only.
PLAIN_TEXT = words("isalnum isdigit isdecimal isnumeric isalpha isidentifier")


def is_request(name: str) -> bool:
    """Tell whether a name stands for a request of a web framework."""
    return bool(_REQUEST.match(name))


def source_of(module: Module, node: ast.expr, function: ast.AST | None) -> Taint | None:
    """Return what an expression is if it is a source of untrusted values."""
    if isinstance(node, ast.Attribute):
        owner = module.name_of(node.value)
        if node.attr in REQUEST_PARTS and is_request(owner):
            return Taint(REMOTE)
        if owner == "sys" and node.attr == "argv":
            # Whoever starts a program may name files to it; only commands and code are told.
            return Taint(PARAMETER)
        if owner == "self":
            if node.attr in {"get_argument", "get_query_argument", "get_body_argument"}:
                return Taint(REMOTE)
            name = getattr(function, "name", "")
            if name.startswith("do_") and node.attr in _HANDLER_PARTS:
                return Taint(REMOTE)
    elif isinstance(node, ast.Call) and module.name_of(node.func) in _TYPED:
        return Taint(TYPED)
    return None


def is_number(name: str) -> bool:
    """Tell whether what a function returns can be no text that harms."""
    return name in _NUMBERS


def cleaner(name: str) -> frozenset[str] | None:
    """Return what a call makes its argument harmless for; None where nothing is known."""
    if not name:
        return None
    known = CLEANERS.get(name)
    if known is None:
        known = CLEANERS.get(name.rpartition(".")[2])
    if known is not None:
        return known
    if name.rpartition(".")[2].lower().startswith(("escape", "sanitiz", "sanitis", "quote")):
        return _ALL
    return None


def parameter_taints(module: Module, function: Function) -> dict[str, Taint | None]:
    """Return what can be said of the parameters of a function before any call is seen."""
    remote = False
    typed: set[str] = set()
    for decorator in function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and call.attr in _ROUTES:
            remote = isinstance(decorator, ast.Call)
            path = constant(argument(decorator, 0)) if isinstance(decorator, ast.Call) else None
            if isinstance(path, str):
                typed |= {match.group(2) for match in _CONVERTER.finditer(path)}
    owner = module.parent(function)
    if isinstance(owner, ast.ClassDef):
        bases = [module.name_of(base) for base in owner.bases]
        views = any(_VIEWS.search(base) for base in bases)
        remote = remote or (views and function.name in words("get post put delete patch"))
    spec = function.args
    plain = [*spec.posonlyargs, *spec.args]
    last = plain[len(plain) - len(spec.defaults) :]
    defaults = {arg.arg: value for arg, value in zip(last, spec.defaults, strict=True)}
    taints: dict[str, Taint | None] = {}
    for arg in parameters(function):
        default = defaults.get(arg.arg)
        depends = isinstance(default, ast.Call) and module.name_of(default.func).endswith("Depends")
        harmless = arg.arg in {"self", "cls", "request", "req", "db", "session"} or depends
        annotation = ast.unparse(arg.annotation) if arg.annotation else ""
        if harmless or arg.arg in typed or annotation in _HARMLESS_TYPES:
            taints[arg.arg] = None
        else:
            taints[arg.arg] = Taint(REMOTE if remote else PARAMETER)
    return taints
