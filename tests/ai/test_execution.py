"""Tests that are given to the generator are run where they reach nothing, or not at all."""

from __future__ import annotations

import asyncio
import http.server
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_collab_ai.ai.execution import probe, sandbox
from jupyter_collab_ai.ai.execution.service import Execution, Isolation
from jupyter_collab_ai.ai.generator import Check
from jupyter_collab_ai.ai.placing import Mode, Target
from jupyter_collab_ai.ai.snapshot import CODE, DocumentSnapshot, Part
from tests.ai.house import AiHouse
from tests.rooms.engine import until
from tests.support import fake_model as say

LIMITS = sandbox.Limits(seconds=4)

#: Why there is no isolation on this machine, once that was found out.
found: dict[str, str] = {}


@pytest.fixture
def secret() -> Iterator[Path]:
    """A folder of the server, with something in it; not in /tmp, of which each run has its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name) / "private"
        folder.mkdir()
        folder.parent.chmod(0o755)
        (folder / "keys.json").write_text("secret")
        yield folder


@pytest.fixture
async def execution(secret: Path) -> Execution:
    """A sandbox that holds."""
    execution = Execution(Isolation.BUBBLEWRAP, [secret], LIMITS)
    if "doubt" not in found:
        found["doubt"] = await execution._why_not()
    if found["doubt"]:
        pytest.skip(f"no isolation on this machine: {found['doubt']}")
    execution._doubt, execution._bwrap = "", str(shutil.which("bwrap"))
    return execution


def document(source: str) -> DocumentSnapshot:
    return DocumentSnapshot.of_text("p/double.py", source)


DOUBLE = "def double(x):\n    return x * 2\n"


@pytest.mark.parametrize(
    ("tests", "detail"),
    [
        ("assert double(2) == 4", "The tests ran to their end."),
        ("from double import double as d\nassert d(2) == 4", "The tests ran to their end."),
        ("def test_a(): assert double(2) == 4\ndef test_b(): pass", "2 of 2 tests passed."),
        ("async def test_a(): assert double(2) == 4", "1 of 1 tests passed."),
        (">>> double(2)\n4\n>>> double('a')\n'aa'\n", "2 of 2 tests passed."),
        (
            "import unittest\nclass T(unittest.TestCase):\n"
            "    def test_a(self):\n        self.assertEqual(double(2), 4)\n",
            "1 of 1 tests passed.",
        ),
    ],
)
async def test_what_works_passes(execution: Execution, tests: str, detail: str) -> None:
    outcome = await execution.try_out(document(DOUBLE), tests)
    assert (outcome.tried, outcome.ok, outcome.detail) == (True, True, detail)


@pytest.mark.parametrize(
    ("source", "tests", "told"),
    [
        (DOUBLE, "assert double(2) == 5", "AssertionError"),
        (DOUBLE, "def test_a():\n    assert double(2) == 5, 'not five'", "not five"),
        (DOUBLE, ">>> double(2)\n5\n", "Expected"),
        (
            DOUBLE,
            "import unittest\nclass T(unittest.TestCase):\n"
            "    def test_a(self):\n        self.assertEqual(double(2), 5)\n",
            "4 != 5",
        ),
        ("1 / 0\n", "pass", 'File "double.py", line 1'),
        ("import sys\nsys.exit(0)\n", "pass", "SystemExit(0)"),
        ("import os\nos._exit(0)\n", "pass", "before its tests"),
        ("x = input()\n", "pass", "EOFError"),
    ],
)
async def test_what_does_not_work_fails(
    execution: Execution, source: str, tests: str, told: str
) -> None:
    outcome = await execution.try_out(document(source), tests)
    assert (outcome.tried, outcome.ok) == (True, False)
    assert told in outcome.detail
    assert "<string>" not in outcome.detail, "our own lines are of no use to anybody"


@pytest.mark.parametrize(
    ("source", "tests", "told"),
    [
        ("import no_such_module\n", "pass", "no module no_such_module"),
        (DOUBLE, "assert double(2 == 4", "no Python"),
        (DOUBLE, "# nothing\n", "no tests"),
        (DOUBLE, " \n", "no tests"),
        (DOUBLE, "def test_a(tmp_path): pass", "fixtures"),
    ],
)
async def test_what_can_not_be_tried_is_neither(
    execution: Execution, source: str, tests: str, told: str
) -> None:
    outcome = await execution.try_out(document(source), tests)
    assert (outcome.tried, outcome.ok) == (False, False)
    assert outcome.detail.startswith("Not tried: ")
    assert told in outcome.detail


async def test_a_notebook_runs_as_one_without_what_is_ipythons(execution: Execution) -> None:
    cells = [
        "%time x = 1\ny = 2\n!ls",
        "# Title",
        "%%bash\necho",
        "z = await g()",
        "t = '''\n%a'''",
    ]
    types = [CODE, "markdown", CODE, CODE, CODE]
    parts = [
        Part(str(i), type_, text) for i, (type_, text) in enumerate(zip(types, cells, strict=True))
    ]
    parts.insert(0, Part("g", CODE, "async def g():\n    return 3"))
    notebook = DocumentSnapshot("a.ipynb", "python", tuple(parts), is_notebook=True)
    outcome = await execution.try_out(notebook, "assert (y, z, t) == (2, 3, '\\n%a')")
    assert outcome.ok is True, outcome.detail
    assert "IPython" in outcome.detail


# ---------------------------------------------------------------- hostile code

HOSTILE = {
    "reads the machine's passwords": "open('/etc/shadow').read()",
    "lists the server's files": "import os\nassert os.listdir({secret!r})",
    "reads a key": "open({secret!r} + '/keys.json').read()",
    "writes there": "open({secret!r} + '/x', 'w')",
    "writes to Python": "import json\nopen(json.__file__, 'a')",
    "calls the server": (
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/', timeout=3)"
    ),
    "asks for a name": "import socket\nsocket.getaddrinfo('example.org', 80)",
    "kills the server": "import os\nos.kill({pid}, 0)",
    "sees the environment": "import os\nos.environ['COLLAB_AI_CANARY']",
    "sees the parent's environment": (
        "told = [open(f'/proc/{{p}}/environ', 'rb').read() for p in (1, 'self')]\n"
        "assert b'CANARY' in b''.join(told)"
    ),
    "becomes root": "import os\nos.setuid(0)",
    "mounts": (
        "import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0"
    ),
    "makes namespaces": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "raises its limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))"
    ),
    "forks without end": "import os\nwhile True:\n    os.fork()",
    "writes without end": "while True:\n    print('x' * 10000)",
    "never ends": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
    "takes memory": "x = bytearray(4 * 2**30)",
    "takes memory by many": (
        "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n"
        "        x = bytearray(400_000_000)\n        time.sleep(60)\ntime.sleep(60)"
    ),
    "fills the disk": (
        "for n in range(100):\n    open(f'/tmp/{{n}}', 'wb').write(b'x' * 8_000_000)"
    ),
    "fills one file": "open('/tmp/x', 'wb').write(b'x' * 80_000_000)",
    "fills shared memory": (
        "for n in range(100):\n    open(f'/dev/shm/{{n}}', 'wb').write(b'x' * 8_000_000)"
    ),
}


@pytest.fixture
def port() -> Iterator[int]:
    """Where this machine answers."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("attack", HOSTILE)
async def test_hostile_code_gets_nowhere(
    execution: Execution, secret: Path, port: int, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLAB_AI_CANARY", "x")
    source = HOSTILE[attack].format(secret=str(secret), port=port, pid=os.getpid())
    outcome = await execution.try_out(document(source), "pass")
    assert (outcome.tried, outcome.ok) == (True, False), outcome.detail
    assert len(outcome.detail) < 1000
    assert os.listdir(secret) == ["keys.json"]
    assert await execution._why_not() == "", "and all of it is gone"
    assert left_behind() == []


async def test_what_is_left_running_dies_with_it(execution: Execution) -> None:
    source = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n"
    assert (await execution.try_out(document(source), "pass")).ok is True
    assert left_behind() == []


async def test_who_cancels_kills_it(execution: Execution) -> None:
    running = asyncio.create_task(execution.try_out(document("while True: pass"), "pass"))
    await until(lambda: left_behind() != [])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left_behind() == []


def left_behind() -> list[int]:
    """Return the sandboxes of this process that still run."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    found = []
    for child in children:
        try:
            if b"--unshare-net" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
        except OSError:
            continue
    return found


# ---------------------------------------------------------------- where it does not hold


async def test_it_is_off_unless_it_is_wanted() -> None:
    outcome = await Execution().try_out(document(DOUBLE), "pass")
    assert outcome.detail == "Not tried: code is not run on this server."


async def test_without_bubblewrap_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = await Execution(Isolation.BUBBLEWRAP).try_out(document(DOUBLE), "pass")
    assert outcome.tried is False
    assert "bubblewrap is not installed" in outcome.detail


@pytest.mark.parametrize(
    ("weaker", "told"),
    [
        (["--unshare-net"], "network"),
        (["--unshare-pid"], "processes"),
        (["--disable-userns"], "namespaces"),
        (["--clearenv"], "environment"),
    ],
)
async def test_a_sandbox_with_a_hole_is_not_trusted(
    execution: Execution,
    secret: Path,
    weaker: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = sandbox.command

    def with_a_hole(*given: object, **more: object) -> list[str]:
        line = [word for word in whole(*given, **more) if word not in weaker]
        return [
            *line[:1],
            *(["--setenv", "COLLAB_AI_X", "1"] if told == "environment" else []),
            *line[1:],
        ]

    monkeypatch.setattr(sandbox, "command", with_a_hole)
    with pytest.raises(probe.NotIsolated, match=told):
        await probe.check(execution._bwrap, [secret], LIMITS)


@pytest.mark.parametrize("covered", [True, False])
async def test_a_private_folder_within_what_is_shown(
    execution: Execution, secret: Path, covered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed, command = sandbox.needed(), sandbox.command
    monkeypatch.setattr(sandbox, "needed", lambda: [*needed, secret.parent])
    if covered:
        await probe.check(execution._bwrap, [secret], LIMITS)
        return

    def uncovered(
        bwrap: str, inside: list[str], hidden: object, *more: object, root: bool
    ) -> object:
        return command(bwrap, inside, [], *more, root=root)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox, "command", uncovered)
    with pytest.raises(probe.NotIsolated, match=r"it sees .*keys\.json"):
        await probe.check(execution._bwrap, [secret], LIMITS)


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"AS": 2**30}, "any number of processes"), ({"NPROC": 32}, "any amount of memory")],
)
async def test_without_limits_it_is_not_trusted(
    execution: Execution,
    secret: Path,
    limits: dict[str, int],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox.Limits, "of_process", lambda _: limits)
    with pytest.raises(probe.NotIsolated, match=told):
        await probe.check(execution._bwrap, [secret], LIMITS)


# ---------------------------------------------------------------- the generator


def runs(made: dict) -> dict:
    return next(check for check in made["checks"] if check["name"] == "runs")


def fenced(code: str) -> str:
    return f"```python\n{code}```\n"


async def test_failing_tests_are_repaired_once(house: AiHouse, execution: Execution) -> None:
    house.operations._generating._generator._execution = execution
    house.write("a.py", "X = 1\n")
    house.fake.reply(
        say.says(fenced("def double(x):\n    return x * 3\n")), say.says(fenced(DOUBLE))
    )
    made = await house.generate(tests="assert double(2) == 4")
    assert (made["applied"], runs(made)["ok"]) == (True, True)
    assert "assert double(2) == 4" in house.fake.seen[0].prompt
    assert "AssertionError" in house.fake.seen[1].prompt


async def test_what_fails_its_tests_is_a_suggestion(house: AiHouse, execution: Execution) -> None:
    house.operations._generating._generator._execution = execution
    house.write("a.py", "X = 1\n")
    house.fake.reply(*[say.says(fenced("def double(x):\n    return x * 3\n"))] * 2)
    made = await house.generate(target=Target(Mode.APPEND), tests="assert double(2) == 4")
    assert (made["applied"], made["reason"]) == (False, "checks_failed")
    assert "AssertionError" in runs(made)["detail"]
    assert await house.text() == "X = 1\n"


async def test_what_was_not_tried_keeps_nothing_from_being_written(house: AiHouse) -> None:
    house.write("a.py", "X = 1\n")
    house.fake.reply(say.says(fenced(DOUBLE)))
    made = await house.generate(tests="assert double(2) == 5")
    assert made["applied"] is True
    assert (
        runs(made) == Check("runs", False, "Not tried: code is not run on this server.").as_json()
    )
