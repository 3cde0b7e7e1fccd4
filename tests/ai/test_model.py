"""The model client against a server that does everything that real ones do wrong."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from jupyter_collab_ai.ai.model import (
    LIST_GOOD_ENOUGH,
    LIST_KEPT,
    AnswerCut,
    JsonForm,
    Model,
    ModelSettings,
    Usage,
    _pause,
    estimate_tokens,
)
from jupyter_collab_ai.errors import ModelFailed, ModelNotConfigured, ModelTimeout
from tests.support import fake_model as say
from tests.support.fake_model import NAME, FakeModel

KEY = "sk-never-to-be-seen"
ASK = [{"role": "user", "content": "Hello 🦉"}]
FORM = JsonForm(
    "thing", {"type": "object", "properties": {"x": {"type": "string", "maxLength": 600}}}
)


@pytest.fixture
async def model(fake):
    model = Model(ModelSettings(KEY, fake.url), deadline=10, silence=2, max_retries=0)
    yield model
    await model.close()


async def test_an_answer_comes_in_pieces_and_whole(fake, model):
    fake.reply(say.says("Grüße 🦉 and more"))
    pieces = []
    answer = await model.ask(ASK, max_tokens=50, on_delta=pieces.append)
    assert (answer.text, answer.model, answer.usage) == ("Grüße 🦉 and more", NAME, Usage(10, 5))
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1
    request = fake.seen[0]
    assert request.body["model"] == NAME
    assert request.body["max_tokens"] == 50
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    await model.ask(ASK, max_tokens=50)
    assert fake.listed == 1, "the name is not asked for each time"


async def test_half_of_a_character_is_no_answer(fake, model):
    """JSON can hold one, UTF-8 can't: no database and no client takes it."""
    for reply in (say.says("x = '\ud83d'"), say.says_at_once("x = '\ude00\ud83d'")):
        fake.reply(reply)
        heard = []
        with pytest.raises(ModelFailed, match="half of a character"):
            await model.ask(ASK, max_tokens=50, on_delta=heard.append)
        "".join(heard).encode()


async def test_the_halves_of_a_character_may_come_in_two_pieces(fake, model):
    async def reply(chat):
        await chat.begin()
        await chat.send("x = '\ud83d")
        await chat.send("\ude00'")
        await chat.end()

    fake.reply(reply)
    heard = []
    assert (await model.ask(ASK, max_tokens=50, on_delta=heard.append)).text == "x = '😀'"
    "".join(heard).encode()


async def _repeats(chat):
    """Answer with what was asked, in small pieces."""
    asked = chat.seen.body["messages"][0]["content"].split("\n")[0]
    await say.says(asked)(chat)


async def test_secrets_do_not_leave_and_come_back(fake, model):
    secret = "ghp_" + "a1B2c3D4e5" * 4
    code = f"client = connect('{secret}')"
    fake.reply(_repeats)
    pieces = []
    answer = await model.ask(
        [{"role": "user", "content": code}], max_tokens=50, on_delta=pieces.append
    )
    assert secret not in json.dumps(fake.seen[0].body)
    assert "stand for secrets" in json.dumps(fake.seen[0].body)
    assert answer.text == "".join(pieces) == code


async def test_secrets_leave_where_the_administrator_says_so(fake):
    code = "password = 'correct horse'.replace(' ', '')\npassword = 'hunter2'"
    model = Model(ModelSettings(KEY, fake.url), max_retries=0, mask_secrets=False)
    fake.reply(say.says("ok"))
    await model.ask([{"role": "user", "content": code}], max_tokens=50)
    assert fake.seen[0].body["messages"] == [{"role": "user", "content": code}]
    await model.close()


async def test_a_server_that_does_not_stream_or_count(fake, model):
    fake.reply(say.says_at_once("all at once"))
    pieces = []
    answer = await model.ask(ASK, max_tokens=50, on_delta=pieces.append)
    assert (answer.text, pieces) == ("all at once", ["all at once"])
    estimated = Usage(estimate_tokens(len("Hello 🦉")), estimate_tokens(11), estimated=True)
    assert answer.usage == estimated
    assert answer.usage.as_json()["estimated"] is True
    assert (answer.usage + Usage(1, 1)).estimated
    for counted in (None, (0, 0)):
        fake.reply(say.says("x" * 11, usage=counted))
        assert (await model.ask(ASK, max_tokens=50)).usage == estimated
    assert "estimated" not in Usage(1, 2).as_json()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (say.refuses(401, f"Incorrect API key provided: {KEY}"), ModelFailed, "refuses the key"),
        (say.refuses(403), ModelFailed, "refuses the key"),
        (say.refuses(404), ModelFailed, "COLLAB_AI_MODEL"),
        (say.refuses(429, "slow down"), ModelFailed, "too busy"),
        (say.refuses(429, "q", code="insufficient_quota"), ModelFailed, "quota"),
        (say.refuses(400, "maximum context length is 4 tokens"), ModelFailed, "too long"),
        (say.refuses(400, f"bad {KEY}"), ModelFailed, "refuses \\(400\\): “.*bad …"),
        (say.refuses(413), ModelFailed, "too long"),
        (say.refuses(500), ModelFailed, "out of order \\(500\\)"),
        (say.refuses(503), ModelFailed, "out of order"),
        (say.is_silent(), ModelTimeout, "within 2 seconds"),
        (say.breaks_off("half an ans"), ModelFailed, "broke off"),
        (say.hangs_up("half an ans"), ModelFailed, "broke off|can't be reached"),
        (say.says("cut", reason="length"), AnswerCut, "cut off"),
        (say.says("x", reason="content_filter"), ModelFailed, "refuses to answer"),
        (say.says("x", reason="tool_calls"), ModelFailed, "broke off"),
        (say.says(""), ModelFailed, "answered nothing"),
        (say.says("  \n"), ModelFailed, "answered nothing"),
        (say.writes("<html>Log in</html>", "text/html"), ModelFailed, "not a model's answer"),
        (say.writes("data: {cut\n\n"), ModelFailed, "not a model's answer|broke off"),
        (say.writes('data: {"x": 1}\n\ndata: [DONE]\n\n'), ModelFailed, "broke off|not a model"),
        (say.writes("data: [1, 2]\n\n"), ModelFailed, "broke off|not a model's"),
        (say.writes('data: {"choices": [7]}\n\n'), ModelFailed, "not a model's|broke off"),
        (say.writes("", "text/event-stream"), ModelFailed, "broke off"),
        (say.writes('{"choices": []}', "application/json"), ModelFailed, "not a model's answer"),
        (say.writes('{"choices"', "application/json"), ModelFailed, "not a model's answer"),
        (say.writes('data: {"error": {"message": "oh"}}\n\n'), ModelFailed, "gave up: “oh”"),
    ],
)
async def test_every_failure_has_its_sentence(fake, model, reply, error, words):
    fake.reply(reply)
    with pytest.raises(error, match=words) as caught:
        await model.ask(ASK, max_tokens=50)
    message = caught.value.message
    assert message.endswith(".")
    assert KEY not in message
    assert "127.0.0.1" in message or "too long for this model" in message


async def test_what_never_ends_is_ended(fake, model):
    fake.reply(say.never_ends("x" * 20_000))
    with pytest.raises(AnswerCut, match="come to an end"):
        await model.ask(ASK, max_tokens=50)
    await asyncio.wait_for(fake.seen[0].gone.wait(), 5)


async def test_a_slow_drip_ends_at_the_deadline(fake):
    model = Model(ModelSettings(None, fake.url, "m"), deadline=0.5, silence=10, max_retries=0)
    fake.reply(say.drips("never quite done " * 50, 0.05))
    with pytest.raises(ModelTimeout, match=r"within 0\.5 seconds"):
        await model.ask(ASK, max_tokens=50)
    await asyncio.wait_for(fake.seen[0].gone.wait(), 5)
    await model.close()


async def test_cancelling_stops_the_server(fake, model):
    fake.reply(say.never_ends("x"))
    got = asyncio.Event()
    task = asyncio.create_task(model.ask(ASK, max_tokens=50, on_delta=lambda _: got.set()))
    await asyncio.wait_for(got.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(fake.seen[0].gone.wait(), 5)


async def test_nobody_there_is_told():
    port_of_nobody = FakeModel()
    await port_of_nobody.close()
    model = Model(ModelSettings(KEY, port_of_nobody.url), max_retries=0)
    with pytest.raises(ModelFailed, match=r"127\.0\.0\.1 can't be reached"):
        await model.ask(ASK, max_tokens=50)
    await model.close()


async def test_an_address_that_is_none_is_told():
    model = Model(ModelSettings(KEY, "localhost:8000/v1", "m"), max_retries=0)
    with pytest.raises(ModelFailed):
        await model.ask(ASK, max_tokens=50)
    await model.close()


async def test_no_redirect_is_followed(fake):
    model = Model(ModelSettings(KEY, fake.url.replace("/v1", "/moved"), "m"), max_retries=0)
    with pytest.raises(ModelFailed, match="elsewhere"):
        await model.ask(ASK, max_tokens=50)
    assert fake.seen == []
    await model.close()


async def test_a_server_that_is_busy_is_tried_once_more(fake):
    model = Model(ModelSettings(KEY, fake.url, "m"))
    fake.reply(say.refuses(503), say.says("now"))
    assert (await model.ask(ASK, max_tokens=50)).text == "now"
    assert len(fake.seen) == 2
    await model.close()


async def test_a_server_is_given_the_time_that_it_asks_for(fake):
    model = Model(ModelSettings(KEY, fake.url, "m"))

    def busy(after: str):
        async def reply(chat):
            chat.set_header("Retry-After", after)
            await say.refuses(429, "slow down")(chat)

        return reply

    fake.reply(busy("1"), say.says("now"))
    begun = time.monotonic()
    assert (await model.ask(ASK, max_tokens=50)).text == "now"
    assert time.monotonic() - begun >= 1
    # Nobody waits for an hour, nor tries in vain.
    fake.reply(busy("3600"))
    with pytest.raises(ModelFailed, match="too busy"):
        await model.ask(ASK, max_tokens=50)
    assert len(fake.seen) == 3
    await model.close()


async def test_a_quota_that_is_used_up_is_not_tried_again(fake):
    model = Model(ModelSettings(KEY, fake.url, "m"))
    fake.reply(say.refuses(429, "q", code="insufficient_quota"))
    with pytest.raises(ModelFailed, match="quota"):
        await model.ask(ASK, max_tokens=50)
    assert len(fake.seen) == 1
    await model.close()


def test_pauses_grow_and_differ():
    first = {_pause(None, 0) for _ in range(50)}
    assert len(first) > 10
    assert 0.5 <= min(first) <= max(first) <= 0.75
    assert min(_pause(None, 2) for _ in range(50)) >= 2


async def test_a_server_that_takes_one_at_a_time_is_asked_so(fake, model):
    """llama_cpp.server cuts a stream when something else is asked."""
    gate = asyncio.Event()

    async def cut(chat):
        await chat.begin()
        await chat.send("half")
        await gate.wait()
        chat.finish()

    fake.reply(cut, say.says("other"), say.says("and on"))
    one = asyncio.create_task(model.ask(ASK, max_tokens=5))
    await fake.asked(1)
    assert (await model.ask(ASK, max_tokens=5)).text == "other"
    gate.set()
    with pytest.raises(ModelFailed, match="broke off"):
        await one
    inside, most = 0, 0

    async def counts(chat):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await say.drips("abc", 0.02)(chat)
        inside -= 1

    fake.reply(counts)
    await asyncio.gather(*(model.ask(ASK, max_tokens=5) for _ in range(3)))
    assert most == 1


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "end_turn"])
async def test_all_names_of_a_good_end(fake, model, reason):
    fake.reply(say.says("x", reason=reason))
    assert (await model.ask(ASK, max_tokens=5)).text == "x"


async def test_azures_addresses(fake):
    seen = []

    async def reply(chat):
        seen.append((chat.request.query, chat.request.headers.get("api-key")))
        await say.says("x")(chat)

    fake.reply(reply)
    model = Model(ModelSettings(KEY, f"{fake.url}?api-version=2024-10-21", "m"), max_retries=0)
    assert (await model.ask(ASK, max_tokens=5)).text == "x"
    assert seen == [("api-version=2024-10-21", KEY)]
    await model.close()


async def test_reasoning_is_no_part_of_the_answer(fake, model):
    async def reply(chat):
        await chat.begin()
        await chat.frame(
            {"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None},
        )
        await chat.frame({"index": 0, "delta": {"content": None}, "finish_reason": None})
        await chat.send("x")
        await chat.end()

    fake.reply(reply)
    assert (await model.ask(ASK, max_tokens=5)).text == "x"


async def test_what_a_server_does_not_know_is_learned_once(fake, model):
    fake.reply(
        say.understands_only(
            without=("stream_options", "temperature", "max_tokens", "response_format=json_schema"),
            then=say.says("{}"),
        )
    )
    await model.ask(ASK, max_tokens=7, form=FORM)
    last = fake.seen[-1].body
    assert last["max_completion_tokens"] == 7
    assert last["response_format"] == {
        "type": "json_object",
        "schema": {"type": "object", "properties": {"x": {"type": "string"}}},
    }
    assert len(fake.seen) == 5
    await model.ask(ASK, max_tokens=7, form=FORM)
    assert len(fake.seen) == 6


async def test_a_server_without_json_is_asked_in_words(fake, model):
    fake.reply(say.understands_only(without=("response_format",), then=say.says("{}"), status=500))
    await model.ask(ASK, max_tokens=7, form=FORM)
    kinds = [json.dumps(item.body.get("response_format", {}).get("type")) for item in fake.seen]
    assert kinds == ['"json_schema"', '"json_object"', '"json_object"', "null"]


def grow_old(model, seconds):
    at, names = model._listed
    model._listed = (at - seconds, names)


async def test_nobody_waits_for_a_list_that_is_a_little_old(fake, model):
    fake.reply(say.says("x"))
    assert (await model.ask(ASK, max_tokens=5)).model == NAME
    fake.models[:] = ["newer"]
    grow_old(model, LIST_KEPT + 1)
    assert (await model.ask(ASK, max_tokens=5)).model == NAME
    if model._looking is not None:
        await model._looking
    assert fake.listed == 2
    assert (await model.ask(ASK, max_tokens=5)).model == "newer"
    fake.models[:] = ["newest"]
    grow_old(model, LIST_GOOD_ENOUGH + 1)
    assert (await model.ask(ASK, max_tokens=5)).model == "newest"


async def test_a_model_that_is_gone_is_not_asked_for_again(fake, model):
    fake.reply(say.says("x"))
    await model.ask(ASK, max_tokens=5)
    fake.models[:] = ["other"]
    fake.reply(say.refuses(404, "no such model"), say.says("y"))
    with pytest.raises(ModelFailed):
        await model.ask(ASK, max_tokens=5)
    assert (await model.ask(ASK, max_tokens=5)).model == "other"


async def test_which_models_there_are(fake):
    fake.models[:] = ["a", "b"]
    assert await Model(ModelSettings(None, fake.url)).names() == ["a", "b"]
    assert await Model(ModelSettings(None, fake.url, "b")).names() == ["b", "a"]
    assert await Model(ModelSettings(None, fake.url + "x", "c"), max_retries=0).names() == ["c"]
    fake.models[:] = []
    with pytest.raises(ModelFailed, match="lists no model"):
        await Model(ModelSettings(None, fake.url)).name()


async def test_with_nothing_set_there_is_no_model():
    model = Model(ModelSettings())
    assert not model.configured
    for call in (model.names(), model.ask(ASK, max_tokens=1)):
        with pytest.raises(ModelNotConfigured):
            await call


def test_the_key_is_in_no_repr():
    assert KEY not in repr(ModelSettings(KEY, "http://x/v1"))
    assert ModelSettings(KEY).host == "api.openai.com"
    assert ModelSettings(KEY, "http://me:pw@h.example/v1").host == "h.example"
