"""Attacks on the sandbox from within, tried before it is trusted: all of them have to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from jupyter_collab_ai.ai.execution import sandbox

#: Entries of each hidden folder that are looked for.
MOST_ENTRIES = 200

#: Runs inside, as tests of an empty document. What it can do and must not is an assertion.
_ATTACKS = """
import ctypes, os, signal, socket, sys, time
wanted = {wanted!r}

def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False

status = open("/proc/self/status").read()
fields = dict(line.split(":", 1) for line in status.splitlines())
assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0, "it has capabilities"
assert fields["NoNewPrivs"].strip() == "1", "it can gain privileges"
assert os.getuid() != 0 and os.geteuid() != 0, "it is root"
assert sum(name.isdigit() for name in os.listdir("/proc")) < 8, "it sees other processes"
assert [name for _, name in socket.if_nameindex()] in ([], ["lo"]), "it sees the network"
try:
    socket.create_connection(("127.0.0.1", wanted["port"]), 2).close()
except OSError:
    pass
else:
    raise AssertionError("it reaches the server's network")
seen = [path for path in wanted["hidden"] if os.path.lexists(path)]
assert not seen, "it sees " + seen[0]
assert refused(lambda: open("/etc/shadow")), "it sees the machine's settings"
for folder in ("/", "/dev", "/usr/lib", sys.prefix, sys.base_prefix):
    place = os.path.join(folder, "collab-ai-probe")
    assert refused(lambda: open(place, "x")), "it can write to " + folder
for environ in ("/proc/1/environ", "/proc/self/environ"):
    try:
        text = open(environ, "rb").read()
    except OSError:
        continue
    assert wanted["variable"].encode() not in text, "it sees the server's environment"
child = os.fork()
if child == 0:
    made = ctypes.CDLL(None, use_errno=True).unshare(0x10000000)  # CLONE_NEWUSER
    os._exit(1 if made == 0 else 0)
assert os.waitpid(child, 0)[1] == 0, "it can make namespaces"
started = []
try:
    while len(started) <= wanted["processes"]:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        started.append(child)
except OSError:
    pass
for child in started:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
assert len(started) < wanted["processes"], "it can start any number of processes"
try:
    bytearray(wanted["memory"])
except MemoryError:
    pass
else:
    raise AssertionError("it can take any amount of memory")
"""


#: Does not end by itself, also not when it is asked to.
_STAYS = """
import os, signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
while True:
    pass
"""


class NotIsolated(Exception):
    """The sandbox does not hold, or can't be had; the message says why."""


async def check(bwrap: str, hidden: Iterable[Path], limits: sandbox.Limits) -> None:
    """Attack the sandbox.

    Raises:
        NotIsolated: It can't be had, or an attack succeeded.
    """
    hidden = list(hidden)
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with listener:
        wanted = {
            "port": listener.sockets[0].getsockname()[1],
            "hidden": await asyncio.to_thread(_entries, hidden),
            "processes": limits.processes,
            "memory": limits.memory,
            "variable": "COLLAB_AI_",
        }
        ended = await _run(bwrap, hidden, limits, _ATTACKS.replace("{wanted!r}", repr(wanted)))
    verdict = ended.verdict or {}
    if verdict.get("kind") != "passed":
        told = str(verdict.get("detail") or ended.killed or "bubblewrap can't make it here")
        raise NotIsolated(told.strip().splitlines()[-1].removeprefix("AssertionError: "))
    if not ended.gone:
        raise NotIsolated("processes are left behind")
    ended = await _run(bwrap, hidden, replace(limits, seconds=1.0), _STAYS)
    if not (ended.killed and ended.gone):
        raise NotIsolated("it does not end when it is killed")


async def _run(bwrap: str, hidden: list[Path], limits: sandbox.Limits, tests: str) -> sandbox.Ended:
    job = {"parts": [], "file": "p.py", "name": "p", "notebook": False, "tests": tests}
    try:
        return await sandbox.run(bwrap, job, hidden, limits)
    except OSError as error:
        raise NotIsolated(f"bubblewrap can't be started: {error.strerror}") from None


def _entries(folders: Iterable[Path]) -> list[str]:
    """Return what lies in folders that must not be seen, but for ways to what may be."""
    shown = sandbox.needed()
    found: list[str] = []
    for folder in folders:
        try:
            paths = sorted(folder.iterdir())[:MOST_ENTRIES]
        except OSError:
            continue
        found += [str(path) for path in paths if not any(one.is_relative_to(path) for one in shown)]
    return found
