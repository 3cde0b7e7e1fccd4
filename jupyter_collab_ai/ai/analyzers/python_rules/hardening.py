"""Settings and calls that are insecure by themselves, whatever comes in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .model import At, insecure
from .module import Module, argument, constant, keyword, words

_DIGITS = re.compile(r"\d")
_SECRET = re.compile(
    r"(passw(or)?d|passwd|pwd|secret|token|api_?key|apikey|access_?key|private_?key|auth_?key"
    r"|encryption_?key|credential)s?$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"^$|^\W+$|^<.*>$|^\{.*\}$|^\$|^%|(change|replace|your|example|dummy|placeholder|xxx|todo|none"
    r"|null|env|prompt|field|\s)",
    re.IGNORECASE,
)
#: What stands in a regular expression and hardly in a secret: the token of a grammar, say.
_PATTERN = re.compile(r"\[[^\]]{1,100}+\][+*?{]|\\[dDwWsSbB]|\(\?|\.[*+]")
_NO_PASSWORD = re.compile(
    r"(postgresql|postgres|mysql|mongodb|redis|mssql)(\+\w+)?://\w+:?@(?!localhost|127)"
)
_CONNECTS = words("connect Connection create_engine login Canvas create_connection MongoClient")


@insecure(
    "hard-coded-credential",
    "CWE-798",
    "A secret stands in the code",
    "Whoever can read this file — in the repository, its history, a copy or the log of a build — "
    "has the secret, and it can't be changed without changing the program. Read it from the "
    "environment or a secret store.",
    confidence=0.7,
)
def hard_coded_credential(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.Assign):
        for target in node.targets:
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            name = name or str(constant(getattr(target, "slice", None)) or "")
            if _SECRET.search(name) and _looks_secret(node.value):
                yield node
    for node in module.all(ast.Assign):
        name = _target(node)
        hinted = re.search(r"key|secret|token", name, re.IGNORECASE)
        if hinted and not _SECRET.search(name) and _high_entropy(node.value):
            yield node
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        for item in call.keywords:
            if not item.arg or not re.match(r"(passw(or)?d|secret_key|api_key|pwd)$", item.arg):
                continue
            empty = last in _CONNECTS and "key" not in item.arg and constant(item.value) == ""
            if empty or _looks_secret(item.value):
                yield call
    for table in module.all(ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            called, text = constant(key), constant(value)
            # Without a digit it is mostly a label or the name of a column.
            secret = isinstance(called, str) and re.search(r"passw(or)?d$|api_?key$", called, re.I)
            if secret and isinstance(text, str) and _DIGITS.search(text) and _looks_secret(value):
                yield value
    for compare in module.all(ast.Compare):
        name = module.name_of(compare.left) or _subscript(compare.left)
        if isinstance(compare.ops[0], ast.Eq) and re.search(r"passw|pwd|secret|api_?key", name):
            text = constant(compare.comparators[0])
            if isinstance(text, str) and re.fullmatch(r"[^\s<>{}$%]{3,}", text):
                yield At(compare, "A password is compared with one that stands in the code")


def _target(node: ast.Assign) -> str:
    first = node.targets[0]
    return first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "")


def _subscript(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return str(constant(node.slice) or "")
    return ""


def _looks_secret(node: ast.expr) -> bool:
    text = constant(node)
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return (
        isinstance(text, str)
        and len(text) >= 3
        and not _PLACEHOLDER.search(text)
        and not _PATTERN.search(text)
    )


def _high_entropy(node: ast.expr) -> bool:
    text = constant(node)
    if not isinstance(text, str) or len(text) < 20 or not re.fullmatch(r"[\w\-+/=.]+", text):
        return False
    kinds = [any(map(test, text)) for test in (str.islower, str.isupper, str.isdigit)]
    return all(kinds) and len(set(text)) > 12


@insecure(
    "empty-database-password",
    "CWE-521",
    "The database is opened without a password",
    "Anybody who reaches the database may open it as this user. Set a password and read it from "
    "the environment.",
    confidence=0.6,
)
def empty_database_password(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if constant(key) == "PASSWORD" and constant(value) == "":
                yield value
    for text in module.all(ast.Constant):
        if isinstance(text.value, str) and _NO_PASSWORD.match(text.value):
            yield text


@insecure(
    "weak-cipher",
    "CWE-327",
    "A cipher or mode that is broken",
    "DES, RC2, RC4, Blowfish and IDEA can be broken with a few days of computing; ECB shows "
    "which blocks of the message are alike. Use AES in GCM mode, or Fernet.",
    confidence=0.9,
)
def weak_cipher(module: Module) -> Iterator[ast.AST]:
    weak = re.compile(r"(^|\.)(DES3?|ARC[24]|RC4|Blowfish|XOR|CAST|IDEA|TripleDES|SEED)(\.new)?$")
    for call, name in module.calls:
        if weak.search(name) and ("Cr" in name or "." in name or "cipher" in name):
            if name.endswith(".new") or "algorithms" in name:
                yield call
        elif name.endswith("modes.ECB") or name == "ECB":
            yield call
    for node in module.all(ast.Attribute):
        if node.attr == "MODE_ECB":
            yield node


@insecure(
    "fixed-iv",
    "CWE-329",
    "The initialisation vector is always the same",
    "With a fixed vector, equal messages give equal ciphertexts, and whoever sees two of them "
    "learns what they share. Make a new one for each message: os.urandom(16).",
    confidence=0.85,
)
def fixed_iv(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        value = None
        if last in {"CBC", "CFB", "OFB", "CTR", "GCM", "CFB8"} and "modes" in name:
            value = argument(call, 0)
        elif name.endswith("AES.new"):
            value = argument(call, 2) or keyword(call, "iv") or keyword(call, "IV")
            value = value or keyword(call, "nonce")
        if value is not None and _fixed(module, value):
            yield call


def _fixed(module: Module, node: ast.expr, depth: int = 0) -> bool:
    """Tell whether bytes are the same at every run."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return any(_fixed(module, one) for one in (node.left, node.right))
    if isinstance(node, ast.Call):
        name = module.name_of(node.func)
        if name in {"bytes", "bytearray"}:
            return bool(node.args) and isinstance(node.args[0], ast.Constant)
        return isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Constant)
    if isinstance(node, ast.Name) and depth < 3:
        values = _values(module, node)
        return bool(values) and all(_fixed(module, one, depth + 1) for one in values)
    return False


def _values(module: Module, name: ast.Name) -> list[ast.expr]:
    """Return what a name is given in its scope, or else at the top."""
    for scope in (module.scope_of(name), module.tree):
        found = [
            node.value
            for node in module.all(ast.Assign)
            if module.scope_of(node) is scope
            and any(isinstance(one, ast.Name) and one.id == name.id for one in node.targets)
        ]
        if found:
            return found
    return []


@insecure(
    "fixed-salt",
    "CWE-760",
    "The salt is always the same",
    "With one salt for everybody, equal passwords have equal hashes, and one table of "
    "precomputed hashes opens them all. Use os.urandom(16) for each password and keep it.",
    confidence=0.8,
)
def fixed_salt(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        value = None
        if last == "pbkdf2_hmac":
            value = argument(call, 2, "salt")
        elif last in {"scrypt", "PBKDF2HMAC", "Scrypt", "PBKDF2", "Argon2id"}:
            value = keyword(call, "salt") or (argument(call, 1) if last == "PBKDF2" else None)
        elif name == "crypt.crypt":
            value = argument(call, 1)
        if value is not None and _fixed(module, value):
            yield call


@insecure(
    "fast-password-hash",
    "CWE-916",
    "A password is hashed with a fast hash",
    "A graphics card tries ten thousand million MD5, SHA-1 or SHA-256 hashes a second, so that "
    "passwords are guessed as soon as the table leaks. Use argon2, bcrypt or scrypt with a salt.",
    confidence=0.75,
)
def fast_password_hash(module: Module) -> Iterator[ast.AST]:
    hashes = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "new", "sha3_256"}
    for call, name in module.calls:
        given = [one for arg in call.args for one in ast.walk(arg)]
        names = [module.name_of(one) for one in given if isinstance(one, ast.Name | ast.Attribute)]
        if not any(re.search(r"passw(or)?d|passwd|pwd", one, re.I) for one in names):
            continue
        if name.startswith("hashlib.") and name[8:] in hashes:
            yield call
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "update":
            made = call.func.value
            if isinstance(made, ast.Name) and any(
                isinstance(one, ast.Call) and module.name_of(one.func).startswith("hashlib.")
                for one in _values(module, made)
            ):
                yield call


@insecure(
    "weak-key",
    "CWE-326",
    "The key is too short",
    "RSA and DSA keys below 2048 bits, and curves below 224, can be broken by those who can "
    "afford some computing. Use 2048 bits or more; 3072 for what has to last.",
    confidence=0.9,
)
def weak_key(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        parts = name.split(".")
        if parts[-1] in {"generate", "generate_private_key"} and len(parts) > 1:
            kind = parts[-2].lower()
            if kind in {"rsa", "dsa"}:
                size = keyword(call, "key_size") or keyword(call, "bits")
                if size is None:
                    size = argument(call, 1 if kind == "rsa" and parts[-1] != "generate" else 0)
                bits = constant(size)
                if isinstance(bits, int) and 0 < bits < 2048:
                    yield call
            elif kind == "ec" and call.args:
                curve = module.name_of(call.args[0]) or module.name_of(
                    getattr(call.args[0], "func", None)
                )
                if re.search(r"(160|163|192)[RK]1$|1[69][0-9][RK]\d$", curve):
                    yield call


@insecure(
    "predictable-random",
    "CWE-330",
    "A secret is made with predictable random numbers",
    "The module random is made for simulations: whoever sees a few of its numbers can compute "
    "all that follow, and so other people's tokens. Use the module secrets.",
    confidence=0.75,
)
def predictable_random(module: Module) -> Iterator[ast.AST]:
    secret = re.compile(
        r"passw|token|secret|session|(^|_)key|otp|salt|nonce|csrf|api_?key|captcha|verif|reset"
        r"|pin(_|$)|sid$|unpredictab|crypt|auth",
        re.IGNORECASE,
    )
    for call, name in module.calls:
        if not name.startswith(("random.", "numpy.random.")) or name.count(".") > 2:
            continue
        if name.rpartition(".")[2] in {"SystemRandom", "seed", "shuffle", "Random"}:
            continue
        scope = module.scope_of(call)
        texts = [getattr(scope, "name", "")]
        for ancestor in module.ancestors(call):
            if ancestor is scope:
                break
            if isinstance(ancestor, ast.Assign):
                texts += [ast.unparse(target) for target in ancestor.targets]
            elif isinstance(ancestor, ast.keyword):
                texts.append(ancestor.arg or "")
        if isinstance(scope, ast.FunctionDef):
            texts.append((ast.get_docstring(scope) or "").replace("random key", ""))
        if any(secret.search(_words(text)) for text in texts):
            yield call


def _words(name: str) -> str:
    """Write a name in its words: ``getSessionID`` as ``get_session_id``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@insecure(
    "small-seed",
    "CWE-339",
    "The random numbers begin with a seed that can be guessed",
    "All numbers follow from the seed: whoever guesses it — the time of day, two bytes — "
    "computes all of them. Use secrets, which needs no seed.",
    confidence=0.7,
)
def small_seed(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name != "random.seed":
            continue
        value = argument(call, 0, "a")
        if isinstance(value, ast.Name):
            values = _values(module, value)
            value = values[0] if len(values) == 1 else value
        made = module.name_of(value.func) if isinstance(value, ast.Call) else ""
        if made in {"os.urandom", "time.time", "os.getpid"}:
            yield call
