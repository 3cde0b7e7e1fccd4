"""Contract, "AI": the debugger, fixes, the generator, operations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from examples.story.model import NAME, ModelServer
from examples.story.model_answers import finding_of
from tests.blackbox.client import Answer, Api, Person
from tests.blackbox.conftest import MODEL_KEY, Opener
from tests.support.server import LabServer, ServerFactory

FAULTY = '''\
import sqlite3
import subprocess


def find(name, seen=[]):
    """Find « names » 🔍."""
    query = f"SELECT * FROM people WHERE name = '{name}'"
    seen.append(name)
    return sqlite3.connect("x.db").execute(query)


def totals(rows):
    result = []
    for row in rows:
        result.append(row * 2)
    return list(sorted(result))


def copy(path):
    subprocess.run(f"cp {path} /backup", shell=True)
    return undefined_name
'''
REPORT = {
    "operation_id",
    "summary",
    "findings",
    "model",
    "analyzers",
    "usage",
    "duration_ms",
}
FINDING = {
    "id",
    "category",
    "severity",
    "title",
    "explanation",
    "location",
    "source",
    "rule",
    "cwe",
    "confidence",
    "fix",
}
GENERATION = {
    "operation_id",
    "code",
    "language",
    "explanation",
    "edits",
    "applied",
    "reason",
    "checks",
    "model",
    "usage",
    "duration_ms",
}


def check_report(report: dict[str, Any], text: str) -> None:
    """Check the form of a report, and that each location points at text that is there."""
    assert report.keys() == REPORT
    lines = text.split("\n")
    for finding in report["findings"]:
        assert finding.keys() - FINDING == set()
        assert finding["category"] in ("syntax", "bug", "performance", "security")
        assert finding["severity"] in ("error", "warning", "info")
        assert 0 <= finding["confidence"] <= 1
        places = [finding["location"]]
        if finding.get("fix"):
            assert finding["fix"].keys() == {"description", "edits", "verified"}
            places += [edit["location"] for edit in finding["fix"]["edits"]]
        for place in places:
            for end in ("start", "end"):
                line, column = place[end]["line"], place[end]["column"]
                assert 1 <= line <= len(lines), finding
                assert 1 <= column <= len(lines[line - 1]) + 1, finding
            start, end = place["start"], place["end"]
            assert (start["line"], start["column"]) <= (end["line"], end["column"])


def lines_of(report: dict[str, Any], category: str, text: str) -> set[str]:
    """Return the lines on which findings of ``category`` start."""
    lines = text.split("\n")
    return {
        lines[finding["location"]["start"]["line"] - 1].strip()
        for finding in report["findings"]
        if finding["category"] == category
    }


def post(person: Person, path: str, /, **body: Any) -> Any:
    """Make a call that may take long, in a thread."""
    return asyncio.to_thread(person, "POST", path, body=body, timeout=60)


@pytest.fixture
def faulty(ada: Person, ben: Person, cleo: Person) -> dict[str, Any]:
    """A file with faults, with Ben as editor and Cléo as viewer."""
    session: dict[str, Any] = ada.share("faulty.py", FAULTY)
    ada.add(session, ben, "editor")
    ada.add(session, cleo, "viewer")
    return session


# ---------------------------------------------------------------- with no model


@pytest.fixture(scope="module")
def modelless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A server with no model configured."""
    factory = ServerFactory(tmp_path_factory.mktemp("modelless"))
    yield factory()
    factory.close()


@pytest.fixture
def dora(modelless: LabServer) -> Person:
    """Someone on the server without a model."""
    return Api(modelless).register("dora")


def test_with_no_model_the_analyzers_report(dora: Person) -> None:
    session = dora.share("faulty.py", FAULTY)
    report = dora("POST", "ai/code-debugger", body={"session_id": session["id"]}).ok()
    check_report(report, FAULTY)
    assert report["model"] is None
    assert report["analyzers"]
    assert lines_of(report, "bug", FAULTY) >= {
        "def find(name, seen=[]):",
        "return undefined_name",
    }
    assert lines_of(report, "security", FAULTY) >= {
        "query = f\"SELECT * FROM people WHERE name = '{name}'\"",
        'subprocess.run(f"cp {path} /backup", shell=True)',
    }
    assert "result.append(row * 2)" in lines_of(report, "performance", FAULTY)


@pytest.mark.parametrize(
    "text", ["def f(:\n    pass\n", "x = (1,\n", "  x = 1\n", "print 'a'\n", "'''never closed\n"]
)
def test_what_does_not_parse_is_a_syntax_finding(dora: Person, text: str) -> None:
    session = dora.share(f"broken{abs(hash(text))}.py", text)
    report = dora("POST", "ai/code-debugger", body={"session_id": session["id"]}).ok()
    check_report(report, text)
    assert "syntax" in {finding["category"] for finding in report["findings"]}


@pytest.mark.parametrize("text", ["", "\n", "x = 1\n", "# nur ein Kommentar 🦉"])
def test_what_is_fine_has_no_findings(dora: Person, text: str) -> None:
    session = dora.share(f"fine{abs(hash(text))}.py", text)
    report = dora("POST", "ai/code-debugger", body={"session_id": session["id"]}).ok()
    assert report["findings"] == []


def test_with_no_model_there_is_no_generator(dora: Person) -> None:
    session = dora.share("empty.py", "")
    body = {"session_id": session["id"], "instructions": "Write it."}
    dora("POST", "ai/code-generator", body=body).refused(503, "model_not_configured")
    assert dora("GET", f"sessions/{session['id']}/locks").ok()["items"] == []
    assert dora("GET", "ai/models").ok()["items"] == []


def test_cells_of_a_notebook_are_looked_at(dora: Person) -> None:
    cells = ["%matplotlib inline\nimport os", "def f(x=[]):\n    return x", "def broken(:"]
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    session = dora.share("book.ipynb", json.dumps(notebook))
    body = {"session_id": session["id"]}
    report = dora("POST", "ai/code-debugger", body=body).ok()
    seen = {
        (finding["category"], finding["location"]["cell_id"], finding["location"]["start"]["line"])
        for finding in report["findings"]
    }
    assert seen >= {("bug", "cell-1", 1), ("syntax", "cell-2", 1)}
    one = dora("POST", "ai/code-debugger", body={**body, "cell_id": "cell-1"}).ok()
    assert {finding["location"]["cell_id"] for finding in one["findings"]} == {"cell-1"}
    answer = dora("POST", "ai/code-debugger", body={**body, "cell_id": "none"})
    assert answer.status in (400, 404)


# ---------------------------------------------------------------- the debugger with a model


def answers_with(*findings: dict[str, Any]) -> Any:
    return lambda _: json.dumps({"summary": "Seen.", "findings": list(findings)})


async def test_what_the_model_finds_is_added(
    model: ModelServer, ben: Person, faulty: dict[str, Any]
) -> None:
    model.answer = answers_with(
        finding_of(3, "seen.append(name)", "It grows for ever", "It is never emptied."),
        finding_of(5, "no_such_text()", "Not there", "Nowhere."),
        finding_of(5000, "nor_this()", "Not there", "Nowhere."),
    )
    report = (await post(ben, "ai/code-debugger", session_id=faulty["id"])).ok()
    check_report(report, FAULTY)
    assert report["model"] == NAME
    (found,) = [item for item in report["findings"] if item["title"] == "It grows for ever"]
    assert found["location"]["start"]["line"] == 8, "moved to where the text is"
    assert "Not there" not in {item["title"] for item in report["findings"]}
    assert "return undefined_name" in lines_of(report, "bug", FAULTY), "the analyzers' stay"


async def test_who_may_debug(
    model: ModelServer, api: Api, cleo: Person, faulty: dict[str, Any]
) -> None:
    body = {"session_id": faulty["id"]}
    cleo("POST", "ai/code-debugger", body=body).refused(403, "role_required")
    stranger = api.register("stranger")
    stranger("POST", "ai/code-debugger", body=body).refused(404, "not_found")
    assert model.requests == []


async def test_what_was_found_is_told_later(
    model: ModelServer, api: Api, ada: Person, ben: Person, cleo: Person, faulty: dict[str, Any]
) -> None:
    url = f"sessions/{faulty['id']}/findings"
    nothing = {"operation_id": None, "items": [], "next": None}
    assert cleo("GET", url).ok() == nothing
    model.answer = answers_with()
    report = (await post(ben, "ai/code-debugger", session_id=faulty["id"])).ok()
    for person in (ada, ben, cleo):
        answer = person("GET", url).ok()
        assert answer["operation_id"] == report["operation_id"]
        assert answer["items"] == report["findings"]
    first = cleo("GET", url, query={"limit": 1}).ok()
    rest = cleo("GET", url, query={"after": first["next"]}).ok()
    assert [*first["items"], *rest["items"]] == report["findings"]
    api.register("stranger")("GET", url).refused(404, "not_found")
    cleo("GET", url, query={"path": "faulty.py"}).refused(400, "invalid_request")
    cleo("GET", url, query={"after": "x"}).refused(400, "invalid_request")
    cleo("GET", url, query={"limit": 0}).refused(400, "invalid_request")


async def test_operations_come_in_pages(
    model: ModelServer, ada: Person, faulty: dict[str, Any]
) -> None:
    made = []
    for _ in range(2):
        model.answer = answers_with()
        report = (await post(ada, "ai/code-debugger", session_id=faulty["id"])).ok()
        made.insert(0, report["operation_id"])
    url = f"ai/operations?session_id={faulty['id']}&limit=1"
    first = ada("GET", url).ok()
    # As it is, without being quoted.
    rest = ada("GET", f"{url}&after={first['next']}").ok()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == made
    assert rest["next"] is None
    ada("GET", f"{url}&after=x").refused(400, "invalid_request")


async def test_the_key_is_nowhere(
    model: ModelServer, api: Api, ben: Person, faulty: dict[str, Any]
) -> None:
    model.answer = answers_with()
    answers = [
        await post(ben, "ai/code-debugger", session_id=faulty["id"]),
        ben("GET", "ai/models"),
        ben("GET", "ai/operations"),
        api("GET", "health"),
    ]
    for answer in answers:
        assert MODEL_KEY.encode() not in answer.body
    assert MODEL_KEY not in api.server.log


# ---------------------------------------------------------------- fixes


async def verified_finding(model: ModelServer, person: Person, session: dict[str, Any]) -> Any:
    model.answer = answers_with()
    report = (await post(person, "ai/code-debugger", session_id=session["id"])).ok()
    (finding,) = [
        item
        for item in report["findings"]
        if item.get("fix") and item["fix"]["verified"] and item.get("rule") == "C413"
    ]
    return finding


async def test_a_fix_is_applied_as_one_change(
    model: ModelServer, open_live: Opener, ada: Person, ben: Person, faulty: dict[str, Any]
) -> None:
    hers = await open_live(ada, faulty)
    finding = await verified_finding(model, ben, faulty)
    before = hers.text_changes
    applied = ben("POST", f"ai/fixes/{finding['id']}/apply").ok()
    assert applied.keys() == {"edits"}
    await hers.sees("    return sorted(result)\n")
    assert hers.text_changes == before + 1
    assert hers.text == FAULTY.replace("list(sorted(result))", "sorted(result)")
    ben("POST", f"ai/fixes/{finding['id']}/apply").refused(409, "stale_document")


async def test_a_fix_finds_its_place_again(
    model: ModelServer, open_live: Opener, ada: Person, ben: Person, faulty: dict[str, Any]
) -> None:
    finding = await verified_finding(model, ben, faulty)
    hers = await open_live(ada, faulty)
    await hers.insert(0, "# one more line 🦉\n")
    await hers.is_recorded()
    ben("POST", f"ai/fixes/{finding['id']}/apply").ok()
    await hers.sees("    return sorted(result)\n")
    assert hers.text.startswith("# one more line 🦉\n")


async def test_a_fix_of_what_is_gone_is_stale(
    model: ModelServer, open_live: Opener, ada: Person, ben: Person, faulty: dict[str, Any]
) -> None:
    finding = await verified_finding(model, ben, faulty)
    hers = await open_live(ada, faulty)
    await hers.delete(0, len(hers.text))
    await hers.insert(0, "other = True\n")
    await hers.is_recorded()
    ben("POST", f"ai/fixes/{finding['id']}/apply").refused(409, "stale_document")
    assert hers.text == "other = True\n"


async def test_who_may_apply_a_fix(
    model: ModelServer, api: Api, ben: Person, cleo: Person, faulty: dict[str, Any]
) -> None:
    finding = await verified_finding(model, ben, faulty)
    path = f"ai/fixes/{finding['id']}/apply"
    cleo("POST", path).refused(403, "role_required")
    api.register("stranger")("POST", path).refused(404, "not_found")
    ben("POST", "ai/fixes/none/apply").refused(404, "not_found")


# ---------------------------------------------------------------- the generator


CODE = "def double(x):\n    return 2 * x\n"


@pytest.mark.parametrize("answer", [CODE, f"```python\n{CODE}```", f"```\n{CODE}\n```\n"])
async def test_code_is_appended_as_one_change(
    model: ModelServer, open_live: Opener, ada: Person, ben: Person, answer: str
) -> None:
    session = ada.share("target.py", "x = 1\n")
    ada.add(session, ben, "editor")
    hers = await open_live(ada, session)
    model.answer = lambda _: answer
    before = hers.text_changes
    made = (
        await post(
            ben, "ai/code-generator", session_id=session["id"], instructions="Write double(x)."
        )
    ).ok()
    assert made.keys() - GENERATION == set()
    assert (made["applied"], made["language"], made["model"]) == (True, "python", NAME)
    assert made["code"].strip() == CODE.strip()
    assert all(check.keys() <= {"name", "ok", "detail"} for check in made["checks"])
    await hers.sees("def double(x):")
    assert hers.text_changes == before + 1
    assert hers.text.startswith("x = 1\n")
    assert CODE.strip() in hers.text
    compile(hers.text, "target.py", "exec")


async def test_an_empty_document_is_filled(
    model: ModelServer, open_live: Opener, ada: Person
) -> None:
    session = ada.share("empty.py", "")
    hers = await open_live(ada, session)
    model.answer = lambda _: CODE
    body = {"session_id": session["id"], "instructions": "Write double(x)."}
    assert (await post(ada, "ai/code-generator", **body)).ok()["applied"] is True
    await hers.sees("def double(x):")
    assert hers.text.strip() == CODE.strip()


async def test_a_range_is_replaced(model: ModelServer, open_live: Opener, ada: Person) -> None:
    session = ada.share("range.py", "a = 1\nb = 2\nc = 3\n")
    hers = await open_live(ada, session)
    model.answer = lambda _: "b = 20\n"
    place = {"start": {"line": 2, "column": 1}, "end": {"line": 3, "column": 1}}
    made = await post(
        ada,
        "ai/code-generator",
        session_id=session["id"],
        instructions="Ten times b.",
        target={"mode": "replace", "location": place},
    )
    assert made.ok()["applied"] is True
    await hers.sees("b = 20")
    assert hers.text == "a = 1\nb = 20\nc = 3\n"


async def test_what_has_left_the_session_is_out_of_reach(
    model: ModelServer, ada: Person, ben: Person
) -> None:
    """Who asked for code or a fix in a folder gets nothing into what was moved out of it."""
    folder = ada.share("left", content=None, type="directory")
    ada.add(folder, ben, "editor")
    inside, outside = f"{folder['path']}/m.py", f"users/{ada.username}/private.py"
    text = "def f(x=[]):\n    return x == None\n"
    put = {"type": "file", "format": "text", "content": text}
    assert ada.jupyter("PUT", f"api/contents/{inside}", body=put).status == 201
    where = {"session_id": folder["id"], "path": "m.py"}
    model.answer = lambda _: json.dumps({"summary": "s", "findings": []})
    found = (await post(ben, "ai/code-debugger", **where)).ok()["findings"]
    fix = next(one["id"] for one in found if one["fix"])
    model.answer = lambda _: CODE
    asked = {**where, "instructions": "Write double(x)."}
    kept = (await post(ben, "ai/code-generator", **asked, apply=False)).ok()
    written = (await post(ben, "ai/code-generator", **asked)).ok()
    assert (kept["applied"], written["applied"]) == (False, True)
    current = f"sessions/{folder['id']}/history/current"
    before = ben("GET", current, query={"path": "m.py"}).ok()["content"]
    moved = ada.jupyter("PATCH", f"api/contents/{inside}", body={"path": outside})
    assert moved.status == 200
    for call in (
        f"ai/fixes/{fix}/apply",
        f"ai/operations/{kept['operation_id']}/apply",
        f"ai/operations/{written['operation_id']}/undo",
    ):
        ben("POST", call).refused(409, "stale_document")
    session = ada("POST", "sessions", body={"name": "private", "path": outside}).ok(201)
    hers = ada("GET", f"sessions/{session['id']}/history/current").ok()
    assert hers["content"] == before
    assert text in before
    assert "double" in before


async def test_who_was_removed_sees_no_results_of_the_session(
    model: ModelServer, ada: Person, ben: Person
) -> None:
    session = ada.share("removed.py", "x = 1\n")
    ada.add(session, ben, "editor")
    model.answer = lambda _: CODE
    body = {"session_id": session["id"], "instructions": "Write double(x).", "apply": False}
    made = (await post(ben, "ai/code-generator", **body)).ok()["operation_id"]
    assert made in {one["id"] for one in ben("GET", "ai/operations").ok()["items"]}
    ada("DELETE", f"sessions/{session['id']}/members/{ben.username}").ok(204)
    assert made not in {one["id"] for one in ben("GET", "ai/operations").ok()["items"]}
    ben("GET", f"ai/operations/{made}").refused(404, "not_found")


async def test_a_suggestion_is_written_when_asked_for(
    model: ModelServer, open_live: Opener, ada: Person
) -> None:
    session = ada.share("suggested.py", "x = 1\n")
    hers = await open_live(ada, session)
    model.answer = lambda _: CODE
    body = {"session_id": session["id"], "instructions": "Write double(x).", "apply": False}
    made = (await post(ada, "ai/code-generator", **body)).ok()
    assert made["applied"] is False
    operation = ada("GET", f"ai/operations/{made['operation_id']}").ok()
    assert operation["state"] == "done"
    assert hers.text == "x = 1\n"
    ada("POST", f"ai/operations/{made['operation_id']}/apply").ok()
    await hers.sees("def double(x):")
    await hers.insert(0, "# kept\n")
    await hers.is_recorded()
    ada("POST", f"ai/operations/{made['operation_id']}/undo").ok()
    await hers.until(lambda: "double" not in hers.text, "the code to be gone")
    assert hers.text.strip() == "# kept\nx = 1"


async def test_a_model_that_fails_changes_nothing(
    model: ModelServer, open_live: Opener, ada: Person, session: dict[str, Any]
) -> None:
    hers = await open_live(ada, session)
    body = {"session_id": session["id"], "instructions": "Write double(x)."}
    model.broken = True
    (await post(ada, "ai/code-generator", **body)).refused(502, "model_failed")
    model.broken = False
    await model.close()
    (await post(ada, "ai/code-generator", **body)).refused(502, "model_failed")
    assert hers.text == "x = 1\n"
    assert ada("GET", f"sessions/{session['id']}/locks").ok()["items"] == []


async def test_who_may_generate(
    model: ModelServer, api: Api, cleo: Person, faulty: dict[str, Any]
) -> None:
    body = {"session_id": faulty["id"], "instructions": "x"}
    cleo("POST", "ai/code-generator", body=body).refused(403, "role_required")
    stranger = api.register("stranger")
    stranger("POST", "ai/code-generator", body=body).refused(404, "not_found")
    assert model.requests == []


@pytest.mark.parametrize(
    "target",
    [
        {"mode": "replace"},
        {"mode": "somewhere"},
        {
            "mode": "replace",
            "location": {"start": {"line": 50, "column": 1}, "end": {"line": 51, "column": 1}},
        },
        {
            "mode": "replace",
            "location": {"start": {"line": 0, "column": 1}, "end": {"line": 1, "column": 1}},
        },
        {
            "mode": "replace",
            "location": {"start": {"line": 1, "column": 3}, "end": {"line": 1, "column": 1}},
        },
    ],
    ids=json.dumps,
)
async def test_a_target_that_is_not_there_is_refused(
    model: ModelServer, ada: Person, session: dict[str, Any], target: dict[str, Any]
) -> None:
    answer: Answer = await post(
        ada, "ai/code-generator", session_id=session["id"], instructions="x", target=target
    )
    answer.refused(400, "invalid_request")
    assert model.requests == []


async def test_a_stream_ends_with_what_the_plain_answer_holds(
    model: ModelServer, ada: Person, session: dict[str, Any]
) -> None:
    model.answer = lambda _: CODE
    body = {"session_id": session["id"], "instructions": "Write double(x)."}
    answer = await asyncio.to_thread(
        ada, "POST", "ai/code-generator", body=body, headers={"Accept": "text/event-stream"}
    )
    assert answer.status == 200
    assert answer.headers.get_content_type() == "text/event-stream"
    events = [
        (fields["event"], json.loads(fields["data"]))
        for block in answer.body.decode().split("\n\n")
        if (fields := dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":"))
    ]
    names = [name for name, _ in events]
    assert names[0] == "operation"
    assert set(names) <= {
        "operation",
        "lock",
        "progress",
        "delta",
        "finding",
        "check",
        "done",
        "error",
    }
    assert names[-1] == "done"
    assert events[-1][1].keys() - GENERATION == set()
    assert events[-1][1]["applied"] is True


# ---------------------------------------------------------------- operations


async def test_operations_are_their_owners(
    model: ModelServer, api: Api, ada: Person, ben: Person, cleo: Person, faulty: dict[str, Any]
) -> None:
    model.answer = answers_with()
    report = (await post(ben, "ai/code-debugger", session_id=faulty["id"])).ok()
    operation = ben("GET", f"ai/operations/{report['operation_id']}").ok()
    assert operation["id"] == report["operation_id"]
    assert operation["state"] == "done"
    listed = ben("GET", "ai/operations").ok()["items"]
    assert [item["id"] for item in listed] == [report["operation_id"]]
    of_session = ada("GET", "ai/operations", query={"session_id": faulty["id"]}).ok()["items"]
    assert report["operation_id"] in {item["id"] for item in of_session}
    assert cleo("GET", "ai/operations").ok()["items"] == []
    where = f"ai/operations/{report['operation_id']}"
    api.register("stranger")("GET", where).refused(404, "not_found")


async def test_what_was_used_is_told(
    model: ModelServer, ada: Person, faulty: dict[str, Any]
) -> None:
    model.answer = lambda request: "print('fine')"
    body = {"session_id": faulty["id"], "instructions": "Say that all is fine."}
    (await post(ada, "ai/code-generator", **body)).ok()
    (used,) = [
        one for one in ada("GET", "ai/usage").ok()["items"] if one["session_id"] == faulty["id"]
    ]
    assert (used["user"], used["operations"]) == (ada.username, 1)
    assert used["prompt_tokens"] > 0
    assert used["completion_tokens"] > 0
    ended = [
        one
        for one in ada("GET", f"sessions/{faulty['id']}/activity").ok()["items"]
        if one["action"] == "operation_ended"
    ]
    assert [one["detail"]["outcome"] for one in ended] == ["done"]
    assert ended[0]["detail"]["prompt_tokens"] == used["prompt_tokens"]
