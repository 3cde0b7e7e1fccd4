"""Code and data of others that is run or trusted unseen, and rights that are kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .model import At, insecure
from .module import (
    FUNCTIONS,
    Module,
    body_of,
    constant,
    enclosing,
    inside,
    keyword,
    parameters,
    words,
)

_HUBS = ("transformers", "datasets", "huggingface_hub", "diffusers", "sentence_transformers")


@insecure(
    "model-file-runs-code",
    "CWE-502",
    "Loading this file runs whatever its author put into it",
    "torch.load() unpickles, and a pickle may hold commands. Pass weights_only=True, or keep "
    "weights in the safetensors format.",
    confidence=0.7,
)
def model_file_runs_code(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if (
            (name == "torch.load" and constant(keyword(call, "weights_only")) is not True)
            or constant(keyword(call, "trust_remote_code")) is True
            or (name in {"numpy.load"} and constant(keyword(call, "allow_pickle")) is True)
        ):
            yield call


@insecure(
    "download-not-pinned",
    "CWE-494",
    "What is downloaded may change from one day to the next",
    "Without a revision, the newest state is taken, whoever uploaded it. Name the commit: "
    "revision='<40 characters>'.",
    severity="info",
    confidence=0.5,
)
def download_not_pinned(module: Module) -> Iterator[ast.AST]:
    if not any(one.startswith(_HUBS) for one in module.imports.values()):
        return
    wanted = words("from_pretrained load_dataset hf_hub_download snapshot_download")
    for call, name in module.calls:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        if last not in wanted or any(not item.arg for item in call.keywords):
            continue
        revision = constant(keyword(call, "revision"))
        pinned = isinstance(revision, str) and re.fullmatch(r"[0-9a-f]{7,64}", revision)
        source = constant(call.args[0]) if call.args else None
        local = isinstance(source, str) and source.startswith((".", "/", "~"))
        known = keyword(call, "revision") is None or isinstance(revision, str)
        if not pinned and not local and known:
            yield call


@insecure(
    "unpickling-runs-command",
    "CWE-502",
    "Whoever unpickles this object runs a command",
    "__reduce__ says which function pickle calls when it loads the object. Here that function "
    "runs code, which is how attacks by pickle are made.",
    severity="error",
    confidence=0.9,
)
def unpickling_runs_command(module: Module) -> Iterator[ast.AST]:
    runs = re.compile(r"^(eval|exec|os\.(system|popen|exec\w*)|subprocess\.\w+|builtins\.\w+)$")
    for function in module.functions:
        if function.name not in {"__reduce__", "__reduce_ex__"}:
            continue
        for node in body_of(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                if node.value.elts and runs.match(module.name_of(node.value.elts[0])):
                    yield node


@insecure(
    "query-operator-injection",
    "CWE-943",
    "Text from outside becomes a part of a database query",
    "A filter that is put together from text can be changed by the text: a name such as "
    "`a = :u OR b` asks something else. Keep the expression fixed and pass values beside it.",
    confidence=0.65,
)
def query_operator_injection(module: Module) -> Iterator[ast.AST]:
    expressions = words(
        "FilterExpression KeyConditionExpression ConditionExpression UpdateExpression "
        "ProjectionExpression"
    )
    for call, _ in module.calls:
        for item in call.keywords:
            if item.arg in expressions and _built_of_parameters(module, item.value):
                yield call
    for table in module.all(ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            if constant(key) in {"$where", "$function", "$accumulator"}:
                if _built_of_parameters(module, value):
                    yield table


def _built_of_parameters(module: Module, node: ast.expr) -> bool:
    """Tell whether a text is put together, and a parameter of the function is a part of it."""
    if not isinstance(node, ast.BinOp | ast.JoinedStr | ast.Call):
        return False
    function = enclosing(module, node)
    if isinstance(node, ast.Call) and not (
        isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    ):
        return False
    given = {arg.arg for arg in parameters(function)} if function else set()
    return any(isinstance(one, ast.Name) and one.id in given for one in ast.walk(node))


@insecure(
    "rights-kept-after-error",
    "CWE-250",
    "After an error the program keeps its higher rights",
    "Rights are raised, something is done, and rights are given back. Where the step in the "
    "middle raises, the last one never runs. Give them back in `finally`.",
    confidence=0.7,
)
def rights_kept_after_error(module: Module) -> Iterator[ast.AST | At]:
    raises = re.compile(
        r"(raise|elevate|gain|grant|enable|become)_?(the_?)?(priv|right|root|admin|sudo)"
    )
    lowers = re.compile(
        r"(lower|drop|release|revoke|restore|disable|leave)_?(the_?)?(priv|right|root|admin|sudo)"
    )
    for node in module.nodes:
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            up: ast.stmt | None = None
            between = 0
            for statement in block:
                name = _called(module, statement)
                if raises.search(name) or name in {"os.seteuid(0)", "os.setuid(0)"}:
                    up, between = statement, 0
                elif up is not None and (lowers.search(name) or name.startswith("os.seteuid(")):
                    if between:
                        yield up
                    up = None
                elif not isinstance(statement, ast.Try):
                    between += any(isinstance(one, ast.Call) for one in inside(statement))


def _called(module: Module, node: ast.stmt) -> str:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return ""
    name = module.name_of(node.value.func)
    if name in {"os.seteuid", "os.setuid"} and node.value.args:
        return f"{name}({ast.unparse(node.value.args[0])})"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()


@insecure(
    "process-not-checked",
    "CWE-283",
    "Any process can be ended by whoever calls this",
    "The number of the process comes from outside and nobody asks whose it is. Numbers are used "
    "again: it may belong to another program by now. Check its owner and name, or keep the "
    "Popen object and call terminate().",
    severity="info",
    confidence=0.5,
)
def process_not_checked(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name not in {"os.kill", "os.killpg"} or len(call.args) != 2:
            continue
        function, given = enclosing(module, call), call.args[0]
        if function is None or not isinstance(given, ast.Name):
            continue
        # Signal 0 asks whether it is there.
        if constant(call.args[1]) == 0 or isinstance(module.parent(function), ast.ClassDef):
            continue
        checked = any(isinstance(node, ast.If | ast.Try) for node in body_of(function))
        nested = any(isinstance(one, FUNCTIONS) for one in module.ancestors(function))
        if given.id in {arg.arg for arg in parameters(function)} and not checked and not nested:
            yield call


@insecure(
    "password-in-log",
    "CWE-532",
    "A password or key is written to the log",
    "Logs are kept, copied and read by many who must not know it. Leave it out.",
    confidence=0.7,
)
def password_in_log(module: Module) -> Iterator[ast.AST]:
    secret = re.compile(
        r"(^|_)(password|passwd|pwd|secret|api_?key|private_?key|access_?token)$", re.I
    )
    for call, name in module.calls:
        owner, _, method = name.rpartition(".")
        logs = method in {"debug", "info", "warning", "error", "critical", "exception"} and (
            owner.rpartition(".")[2].lower() in {"log", "logger", "logging", "_logger", "_log"}
        )
        if not (logs or name == "print"):
            continue
        for arg in call.args:
            shown = [
                arg,
                *(part.value for part in ast.walk(arg) if isinstance(part, ast.FormattedValue)),
            ]
            if isinstance(arg, ast.BinOp):
                shown += [arg.left, arg.right]
            if any(secret.search(module.name_of(one).rpartition(".")[2]) for one in shown):
                yield call
                break


@insecure(
    "forgery-check-off",
    "CWE-352",
    "Requests that others forge are accepted",
    "Without the check of a token that only your own pages know, any site that a visitor opens "
    "can send this request in the visitor's name. Leave the protection on.",
    confidence=0.6,
)
def forgery_check_off(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        for one in function.decorator_list:
            name = module.name_of(one.func if isinstance(one, ast.Call) else one)
            if name.rpartition(".")[2] in {"csrf_exempt"} or name.endswith("csrf.exempt"):
                yield one
    for node in module.all(ast.Assign):
        for target in node.targets:
            key = constant(target.slice) if isinstance(target, ast.Subscript) else None
            if key == "WTF_CSRF_ENABLED" and constant(node.value) is False:
                yield node


@insecure(
    "any-origin-allowed",
    "CWE-942",
    "Pages of any site may read the answers",
    "Access-Control-Allow-Origin: * lets every page that a visitor opens read what this server "
    "answers; with credentials, in the visitor's name. Name the sites that need it.",
    confidence=0.6,
)
def any_origin_allowed(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Assign):
        for target in node.targets:
            key = constant(target.slice) if isinstance(target, ast.Subscript) else None
            if isinstance(key, str) and key.lower() == "access-control-allow-origin":
                if constant(node.value) == "*":
                    yield node
    for call, name in module.calls:
        texts = [constant(arg) for arg in call.args]
        if texts[1:2] == ["*"] and str(texts[0]).lower() == "access-control-allow-origin":
            yield call
        elif name.rpartition(".")[2] == "add_middleware":
            allowed = keyword(call, "allow_origins")
            every = isinstance(allowed, ast.List) and [constant(one) for one in allowed.elts] == [
                "*"
            ]
            if every and constant(keyword(call, "allow_credentials")) is True:
                yield call


@insecure(
    "fields-taken-from-outside",
    "CWE-915",
    "Whoever sends the request chooses which fields are set",
    'All that was sent becomes attributes: with `{"is_admin": true}` anybody is an admin. Take '
    "the fields that are meant one by one.",
    confidence=0.65,
)
def fields_taken_from_outside(module: Module) -> Iterator[ast.AST]:
    sent = re.compile(r"^(flask\.|self\.)?request\.(json|form|args|POST|GET|data|get_json)$")
    for call, name in module.calls:
        for item in call.keywords:
            if item.arg is None:
                value = item.value
                inner = value.func if isinstance(value, ast.Call) else value
                shown = name.rpartition(".")[2] in {"render_template", "dict", "format", "render"}
                if isinstance(inner, ast.Attribute) and inner.attr == "to_dict":
                    inner = inner.value
                if sent.match(module.name_of(inner)) and not shown:
                    yield call
