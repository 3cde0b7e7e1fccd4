"""The processes that read texts: warm, bounded, and with nothing left over from the last text."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.workers import Trade, Workers, trade_of

#: A module that does with a request what hostile text would like to do.
HOSTILE = """
import os, signal, sys, time
seen = []

def answer(request):
    seen.append(request)
    what = request.get("what")
    if what == "sleep":
        with open(request["file"], "w") as file:
            file.write(f"{os.getpid()} {os.getppid()}")
        time.sleep(60)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "raise":
        raise RecursionError
    if what == "memory":
        return len(bytearray(3 * 1024**3))
    if what == "stay":
        # As the account of a server is, which may not exceed its limits as root may.
        if os.geteuid() == 0:
            os.setuid(65534)
        if os.fork() == 0:
            with open(0, "rb", 0) as socket:
                socket.read(1)
            os._exit(0)
    if what == "much":
        return "x" * 1_000_000
    if what == "wait":
        with open(request["file"], "w"):
            pass
        while not os.path.exists(request["until"]):
            time.sleep(0.005)
    return {
        "seen": len(seen),
        "process": os.getppid(),
        "secret": "OPENAI_API_KEY" in os.environ,
        "files": os.listdir("."),
        "folder": os.getcwd(),
        "handles": sorted(map(int, os.listdir("/proc/self/fd"))) if sys.platform == "linux" else [],
        "path": [one for one in sys.path if "site-packages" in one],
    }
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    package = tmp_path / "modules" / "hostile_texts"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(package.parent))
    return Trade(("hostile_texts",), ("hostile_texts",))


@pytest.fixture
async def make():
    made = []

    def workers(**more):
        made.append(Workers(**more))
        return made[-1]

    yield workers
    for one in made:
        await one.close()


async def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came to be so"
        await asyncio.sleep(0.01)


def lives(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def ask(workers, trade, **request):
    return await workers.ask(trade, request, name="It")


async def test_one_process_answers_again_and_nothing_is_left_of_the_last_text(hostile, make):
    workers = make()
    answers = [await ask(workers, hostile) for _ in range(3)]
    assert len({answer["process"] for answer in answers}) == 1
    assert [answer["seen"] for answer in answers] == [1, 1, 1]


async def test_a_process_makes_room_for_a_new_one_after_so_many_questions(hostile, make):
    workers = make(questions=2)
    processes = [(await ask(workers, hostile))["process"] for _ in range(5)]
    assert processes[0] == processes[1] != processes[2] == processes[3] != processes[4]
    await until(lambda: not lives(processes[0]) and not lives(processes[2]))


async def test_a_process_sees_no_secrets_no_packages_and_no_handles(hostile, make, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    held = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        answer = await ask(make(), hostile)
    finally:
        os.close(held)
    assert not answer["secret"]
    assert answer["files"] == []
    assert answer["path"] == []
    # The last is the folder that is being listed.
    assert len(answer["handles"]) <= 4 and answer["handles"][:3] in ([0, 1, 2], [])


async def test_its_folder_goes_with_it(hostile, make):
    workers = make()
    answer = await ask(workers, hostile)
    assert Path(answer["folder"]).exists()  # noqa: ASYNC240
    await workers.close()
    assert not lives(answer["process"])
    assert not Path(answer["folder"]).exists()  # noqa: ASYNC240
    with pytest.raises(AnalyzerFailed, match="about to end"):
        await ask(workers, hostile)


async def test_what_takes_too_long_is_killed_and_replaced(hostile, make, tmp_path):
    workers = make(time_limit=2.0)
    await ask(workers, hostile)
    file = tmp_path / "pid"
    with pytest.raises(AnalyzerFailed, match="took more than 2 s"):
        await ask(workers, hostile, what="sleep", file=str(file))
    pids = [int(word) for word in file.read_text().split()]
    await until(lambda: not any(map(lives, pids)))
    assert (await ask(workers, hostile))["process"] not in pids


async def test_it_is_killed_with_its_caller(hostile, make, tmp_path):
    workers, file = make(), tmp_path / "pid"
    task = asyncio.create_task(ask(workers, hostile, what="sleep", file=str(file)))
    await until(lambda: file.exists() and file.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pids = [int(word) for word in file.read_text().split()]
    await until(lambda: not any(map(lives, pids)))
    assert (await ask(workers, hostile))["seen"] == 1


@pytest.mark.parametrize("what", ["crash", "raise", "memory", "stay"])
async def test_what_breaks_it_is_told_and_the_next_text_is_read(hostile, make, what):
    if what == "memory" and sys.platform != "linux":
        pytest.skip("only Linux bounds it")
    workers = make()
    with pytest.raises(AnalyzerFailed, match="It could not read the text"):
        await ask(workers, hostile, what=what)
    assert (await ask(workers, hostile))["seen"] == 1


async def test_what_says_too_much_is_cut_off(hostile, make):
    workers = make(output_limit=100_000)
    with pytest.raises(AnalyzerFailed, match="more than can be shown"):
        await ask(workers, hostile, what="much")
    assert (await ask(workers, hostile))["seen"] == 1


async def test_one_that_died_while_it_waited_is_replaced(hostile, make):
    workers = make()
    pid = (await ask(workers, hostile))["process"]
    (process,) = workers._idle
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not process.alive)
    assert (await ask(workers, hostile))["process"] != pid


async def test_one_that_waits_in_vain_ends(hostile, make):
    workers = make(patience=0.05)
    pid = (await ask(workers, hostile))["process"]
    await until(lambda: not lives(pid))


async def test_only_few_work_at_once_and_only_few_wait(hostile, make, tmp_path):
    workers = make(at_once=2)
    go = tmp_path / "go"

    def begun():
        return [one for one in range(4) if (tmp_path / str(one)).exists()]

    tasks = [
        asyncio.create_task(
            ask(workers, hostile, what="wait", file=str(tmp_path / str(one)), until=str(go))
        )
        for one in range(4)
    ]
    await until(lambda: len(begun()) == 2)
    assert len(begun()) == 2
    go.touch()
    answers = await asyncio.gather(*tasks)
    assert len({answer["process"] for answer in answers}) == 2
    # A process for each of many trades does not wait for ever.
    others = [trade_of(name) for name in ("r_worker", "data_worker", "brackets")]
    for trade in others[:2]:
        await workers.ask(trade, {"texts": [], "language": "toml"}, name="It")
    assert len(workers._idle) == 4
    with pytest.raises(AnalyzerFailed):
        await workers.ask(others[2], {}, name="It")
    await ask(workers, Trade(("hostile_texts",), ("hostile_texts", "json")))
    assert len(workers._idle) == 4


async def test_without_fork_each_question_has_a_process_of_its_own(hostile, make):
    workers = make(warm=False)
    answers = [await ask(workers, hostile) for _ in range(2)]
    assert [answer["seen"] for answer in answers] == [1, 1]
    assert not answers[0]["secret"] and answers[0]["files"] == []
    with pytest.raises(AnalyzerFailed, match="It could not read the text"):
        await ask(workers, hostile, what="raise")


async def test_a_program_that_cannot_be_started_is_told(hostile, make, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/at-all")
    with pytest.raises(AnalyzerFailed, match="can't be started"):
        await ask(make(), hostile)


SERVER = """
import asyncio
from jupyter_collab_ai.ai.analyzers.workers import Workers
from tests.ai.test_workers import Trade

async def main():
    trade = Trade(("hostile_texts",), ("hostile_texts",))
    answer = await Workers().ask(trade, {}, name="It")
    print(answer["process"], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_they_end_with_a_server_that_is_killed(hostile, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, env=environment
    ) as server:
        pid = int(await asyncio.to_thread(server.stdout.readline))
        assert lives(pid)
        server.kill()
    await until(lambda: not lives(pid))
