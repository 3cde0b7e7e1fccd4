"""What runs inside: a document, then the tests that were given for it. Imports nothing of ours.

It is handed to the interpreter as text, gets its job as JSON on standard input, and writes its
verdict as JSON to the file descriptor that is its argument. It is in one process with the code
that it tries: it finds out whether code works, not whether code that means to deceive does.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import io
import json
import linecache
import os
import resource
import sys
import traceback
import types
import unittest
from collections.abc import Mapping, Sequence
from typing import Any

#: Characters of a failure that are told.
MOST_TOLD = 2000


class Failure(Exception):
    """A test failed; the message says how."""


class Unusable(Exception):
    """The tests can't be run; the message says why."""


def limit(limits: Mapping[str, int]) -> None:
    """Set what this process and those that it starts may use; nobody here can raise it again."""
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def execute(source: str, name: str, space: dict[str, Any], flags: int = 0) -> None:
    """Run a text as the module that ``space`` belongs to."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    code = compile(source, name, "exec", flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, space))  # noqa: S307 (it is what this is for)
    else:
        exec(code, space)  # noqa: S102 (it is what this is for)


def script(parts: Sequence[Sequence[str]], flags: int) -> str:
    """Put a document together; of each part the first of its forms that can be read."""
    return "\n".join(
        next((form for form in forms if readable(form, flags)), forms[0]) for forms in parts
    )


def readable(source: str, flags: int) -> bool:
    """Tell whether something is Python."""
    try:
        compile(source, "<part>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def module(name: str) -> types.ModuleType:
    """Return a new module that can be imported by its name, unless that is Python's own."""
    if not name.isidentifier() or name in sys.stdlib_module_names or name in sys.modules:
        name = "document"
    made = types.ModuleType(name)
    sys.modules[name] = made
    return made


def run(job: Mapping[str, Any]) -> int:
    """Run a document and its tests; return how many tests there were.

    Raises:
        Failure: A test failed.
        Unusable: The tests are no Python, or there are none in them.
    """
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if job["notebook"] else 0
    document = module(job["name"])
    tests = job["tests"]
    try:
        statements = ast.parse(tests).body
    except SyntaxError as error:
        if ">>>" not in tests:
            raise Unusable(f"the tests are no Python: {error.msg} (line {error.lineno})") from None
        statements = None
    execute(script(job["parts"], flags), job["file"], document.__dict__, flags)
    if statements is None:
        return examples(tests, dict(document.__dict__))
    space = module("tests")
    own = space.__dict__.copy()
    space.__dict__.update(document.__dict__)
    space.__dict__.update(own)
    execute(tests, "tests", space.__dict__, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    defined = {
        name: value
        for name, value in vars(space).items()
        if value is not vars(document).get(name) and getattr(value, "__module__", "") == "tests"
    }
    count = functions(defined) + cases(defined)
    if not statements:
        raise Unusable("there are no tests in what was given")
    return count


def examples(text: str, space: dict[str, Any]) -> int:
    """Run the examples of a text as ``doctest`` does."""
    told = io.StringIO()
    given = doctest.DocTestParser().get_doctest(text, space, "examples", None, 0)
    failed, tried = doctest.DocTestRunner(verbose=False).run(given, out=told.write)
    if not tried:
        raise Unusable("there are no tests in what was given")
    if failed:
        raise Failure(told.getvalue())
    return tried


def functions(defined: Mapping[str, Any]) -> int:
    """Call the functions that are tests."""
    tests = [
        value
        for name, value in defined.items()
        if name.startswith("test") and inspect.isfunction(value)
    ]
    for test in tests:
        if inspect.signature(test).parameters:
            raise Unusable(f"{test.__name__} takes arguments, and there are no fixtures here")
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return len(tests)


def cases(defined: Mapping[str, Any]) -> int:
    """Run the classes that are tests of ``unittest``."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(
        loader.loadTestsFromTestCase(value)
        for value in defined.values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase)
    )
    result = unittest.TestResult()
    suite.run(result)
    for _, told in (*result.failures, *result.errors):
        raise Failure(told)
    return result.testsRun


def told(error: BaseException) -> str:
    """Return how an exception is shown, without the lines of this program."""
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(
        [frame for frame in shown.stack if frame.filename != "<string>"]
    )
    return "".join(shown.format(chain=False)).rstrip()


def verdict(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of a job."""
    try:
        limit(job["limits"])
        return {"kind": "passed", "tests": run(job)}
    except Unusable as error:
        return {"kind": "unusable", "detail": str(error)}
    except Failure as error:
        return {"kind": "failed", "detail": str(error).rstrip()}
    except ModuleNotFoundError as error:
        return {"kind": "missing", "detail": told(error), "module": error.name or ""}
    except SystemExit as error:
        return {"kind": "failed", "detail": f"It ended itself: SystemExit({error.code!r})."}
    except BaseException as error:  # whatever the code raises is an answer
        return {"kind": "failed", "detail": told(error)}


def main() -> None:
    """Do one job and end at once, whatever threads the code has left behind."""
    answer = verdict(json.load(sys.stdin))
    answer["detail"] = str(answer.get("detail", ""))[-MOST_TOLD:]
    os.write(int(sys.argv[1]), json.dumps(answer).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
