"""The model: any server that speaks OpenAI's Chat Completions.

What a server does not know (a parameter, a way to ask for JSON) is learned from its refusal
and remembered. Whatever goes wrong becomes one of three errors with a sentence that names the
host; and only an answer that came to its own end is ever returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAsyncHttpxClient, Timeout
from openai.types.chat import ChatCompletionChunk

from jupyter_collab_ai.ai.masking import Masks, Restorer, mask
from jupyter_collab_ai.errors import ModelFailed, ModelNotConfigured, ModelTimeout

log = logging.getLogger(__name__)

OPENAI_URL = "https://api.openai.com/v1"
#: Seconds that one question may take in all, and until the next piece of the answer.
DEADLINE = 180.0
SILENCE = 60.0
CONNECT = 5.0
#: Seconds for the list of models.
LIST_DEADLINE = 10.0
#: Seconds for which the list is not asked for again, and for which nobody waits for a new one.
LIST_KEPT = 60.0
LIST_GOOD_ENOUGH = 3600.0
#: Characters of an answer beyond which it is given up.
MOST_CHARACTERS = 400_000
#: Characters that make a token, more or less, in code.
CHARACTERS = 3.5
#: Seconds before a busy or broken server is tried again, by chance up to half as long more, and
#: the longest that it may ask us to wait.
PAUSE = 0.5
LONGEST_PAUSE = 20.0
#: Questions that are asked at the same time, unless a server turns out to take only one.
MOST_AT_ONCE = 8
#: What servers call the good end of an answer.
_ENDS = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
#: Times that one question is put otherwise because the server refused a parameter.
MOST_DIALECTS = 6

Message = Mapping[str, str]

_ABOUT_MASKS = (
    "Words such as MASKED_SECRET_1_X stand for secrets that were taken out: where one stands in "
    "code, a secret is written there. Copy them as they are."
)


@dataclass(frozen=True)
class ModelSettings:
    """Where the model is; the key stays out of the repr."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    name: str | None = None

    @property
    def configured(self) -> bool:
        """Whether there is a model at all."""
        return self.api_key is not None or self.base_url is not None

    @property
    def url(self) -> str:
        """The base URL that is used."""
        return self.base_url or OPENAI_URL

    @property
    def host(self) -> str:
        """The host, to be named in sentences; never user names or passwords of the URL."""
        return urlsplit(self.url).hostname or "the AI server"


@dataclass(frozen=True)
class Usage:
    """Tokens, as the server counted them, or about as many as there were."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: Whether some of it was not counted.
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.estimated or other.estimated,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        data: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }
        return {**data, "estimated": True} if self.estimated else data


def estimate_tokens(characters: int) -> int:
    """Return about how many tokens some code has."""
    return math.ceil(characters / CHARACTERS)


@dataclass(frozen=True)
class Answer:
    """What the model said, from beginning to end."""

    text: str
    model: str
    usage: Usage
    #: What was kept back of the question, and stands in the text again.
    masks: Masks = field(default_factory=lambda: Masks({}))


@dataclass(frozen=True)
class JsonForm:
    """The form of JSON that is asked for; servers may ignore it."""

    name: str
    schema: Mapping[str, Any]


class AnswerCut(ModelFailed):
    """The answer ran into the limit of tokens: there is only a part of it."""


class TooLong(ModelFailed):
    """The question has more tokens than the model takes."""


class JsonMode(IntEnum):
    """How JSON is asked for, the strictest first."""

    SCHEMA = 0
    OBJECT_WITH_SCHEMA = 1
    OBJECT = 2
    PROMPT = 3


@dataclass(frozen=True)
class Dialect:
    """What a server is known to take, for one model."""

    json_mode: JsonMode = JsonMode.SCHEMA
    length_parameter: str = "max_tokens"
    stream_usage: bool = True
    temperature: bool = True

    def without(self, message: str, *, json_asked: bool) -> Dialect | None:
        """Return what to try next after a refusal, or None if it is about something else."""
        text = message.lower()
        if "context" in text:
            # Too long a question; no other words make it shorter.
            return None
        other = "max_tokens" if self.length_parameter != "max_tokens" else "max_completion_tokens"
        if json_asked and self.json_mode < JsonMode.PROMPT and _about_json(text):
            return replace(self, json_mode=JsonMode(self.json_mode + 1))
        if self.stream_usage and "stream_options" in text:
            return replace(self, stream_usage=False)
        if self.temperature and "temperature" in text:
            return replace(self, temperature=False)
        if self.length_parameter in text:
            return replace(self, length_parameter=other)
        return None


def _about_json(text: str) -> bool:
    return any(
        word in text for word in ("response_format", "json_schema", "json_object", "grammar")
    )


class Bill(Protocol):
    """What one question comes to, as it goes on."""

    def heard(self, piece: str) -> None:
        """Note a piece of the answer."""

    def counted(self, usage: Usage | None) -> None:
        """Note what the server has counted, or None where it does not."""


class Meter(Protocol):
    """Is asked before each question, and told what it came to."""

    def call(
        self, model: str, messages: Sequence[Message], max_tokens: int
    ) -> contextlib.AbstractAsyncContextManager[Bill]:
        """Let one question be asked.

        Raises:
            BudgetExceeded: It may not be.
        """
        ...


class Model:
    """Asks the model that the administrator has configured."""

    def __init__(
        self,
        settings: ModelSettings,
        *,
        deadline: float = DEADLINE,
        silence: float = SILENCE,
        max_retries: int = 1,
        mask_secrets: bool = True,
        meter: Meter | None = None,
    ) -> None:
        """Prepare to ask; nothing is connected yet.

        Args:
            settings: Where the model is.
            deadline: Seconds that one question may take in all.
            silence: Seconds until the first or the next piece of the answer.
            max_retries: Times that a server that is busy or unreachable is tried again.
            mask_secrets: Whether secrets in what is asked are kept back (see ``masking``).
            meter: Allows each question, and is told what it came to.
        """
        self.settings = settings
        self._deadline = deadline
        self._silence = silence
        self._max_retries = max_retries
        self._mask_secrets = mask_secrets
        self._meter = meter
        self._client: AsyncOpenAI | None = None
        self._dialects: dict[str, Dialect] = {}
        self._listed: tuple[float, list[str]] | None = None
        self._looking: asyncio.Task[None] | None = None
        #: Questions that were begun, to see whether one has come into another.
        self._begun = 0
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    @property
    def configured(self) -> bool:
        """Whether there is a model."""
        return self.settings.configured

    def require(self) -> None:
        """Refuse where no model is configured.

        Raises:
            ModelNotConfigured: There is none.
        """
        if not self.configured:
            raise ModelNotConfigured(
                "No AI model is configured on this server; its administrator can set "
                "OPENAI_API_KEY or OPENAI_BASE_URL."
            )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def names(self) -> list[str]:
        """Return the names of the models that the server lists, the default one first.

        Raises:
            ModelNotConfigured, ModelFailed, ModelTimeout: There is no list.
        """
        self.require()
        chosen = self.settings.name
        try:
            listed = await self._list()
        except (ModelFailed, ModelTimeout):
            # A server need not list what it offers; the one that was named can be asked.
            if chosen is None:
                raise
            listed = []
        if chosen is None:
            return listed
        return [chosen, *(name for name in listed if name != chosen)]

    async def name(self) -> str:
        """Return the name of the model that is asked.

        Raises:
            ModelNotConfigured, ModelFailed, ModelTimeout: It can't be found out.
        """
        if self.settings.name is not None:
            return self.settings.name
        names = self._names_so_far() or await self.names()
        if not names:
            raise ModelFailed(
                f"The AI server at {self.settings.host} lists no model; the administrator can "
                "name one in COLLAB_AI_MODEL."
            )
        return names[0]

    def _names_so_far(self) -> list[str]:
        """Return what the server listed some time ago, and look for what it lists now."""
        if self._listed is None:
            return []
        age = time.monotonic() - self._listed[0]
        if age > LIST_GOOD_ENOUGH:
            return []
        if age > LIST_KEPT and self._looking is None:
            self._looking = asyncio.create_task(self._look_again())
        return self._listed[1]

    async def _look_again(self) -> None:
        try:
            await self._list()
        except (ModelFailed, ModelTimeout):
            # Whoever asks next waits, and is told.
            self._listed = None
        finally:
            self._looking = None

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        form: JsonForm | None = None,
        on_delta: Callable[[str], None] | None = None,
    ) -> Answer:
        """Ask one question and return the whole answer.

        To stop it, cancel the task: the connection is closed, so the server stops too.

        Args:
            messages: The conversation so far.
            max_tokens: How long the answer may be.
            form: The JSON that is asked for; the answer has to be checked all the same.
            on_delta: Called with each piece of the answer as it comes.

        Raises:
            ModelNotConfigured: There is no model.
            ModelTimeout: The server was silent for too long, or took too long in all.
            AnswerCut: The answer was longer than ``max_tokens``.
            ModelFailed: Anything else that went wrong.
            BudgetExceeded: So much may not be asked any more today.
        """
        self.require()
        messages, masks = await self._masked(messages)
        if not masks:
            return await self._ask(messages, max_tokens, form, on_delta)
        restorer = Restorer(masks)

        def hear(piece: str) -> None:
            restored = restorer.feed(piece)
            if restored and on_delta is not None:
                on_delta(restored)

        answer = await self._ask(messages, max_tokens, form, hear)
        rest = restorer.end()
        if rest and on_delta is not None:
            on_delta(rest)
        return replace(answer, text=masks.restore(answer.text), masks=masks)

    async def _masked(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Masks]:
        """Keep secrets back, and say so to the model."""
        if not self._mask_secrets:
            return messages, Masks({})
        texts, masks = await asyncio.to_thread(mask, [one["content"] for one in messages])
        if masks:
            texts[0] += f"\n\n{_ABOUT_MASKS}"
        masked = [{**one, "content": text} for one, text in zip(messages, texts, strict=True)]
        return masked, masks

    async def _ask(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        form: JsonForm | None,
        on_delta: Callable[[str], None] | None,
    ) -> Answer:
        async with self._turns, self._translated(self._deadline):
            name = await self.name()
            if self._meter is None:
                return await self._try(name, messages, max_tokens, form, on_delta)
            async with self._meter.call(name, messages, max_tokens) as bill:
                silent = True

                def hear(piece: str) -> None:
                    nonlocal silent
                    silent = False
                    bill.heard(piece)
                    if on_delta is not None:
                        on_delta(piece)

                try:
                    answer = await self._try(name, messages, max_tokens, form, hear)
                except openai.APITimeoutError:
                    raise  # it may have been worked on all the time
                except (openai.APIStatusError, openai.APIConnectionError) as error:
                    # Who refuses has done nothing; who fails may have.
                    if silent and getattr(error, "status_code", 0) < 500:
                        bill.counted(Usage())
                    raise
                bill.counted(answer.usage)
                return answer

    async def _try(
        self,
        name: str,
        messages: Sequence[Message],
        max_tokens: int,
        form: JsonForm | None,
        on_delta: Callable[[str], None] | None,
    ) -> Answer:
        """Ask in one way after the other, until the server takes one.

        A server that is busy or out of order is asked again, after the time that it names; one
        that has begun to answer is not.
        """
        asked = sum(len(one["content"]) for one in messages)
        failures = 0
        for _ in range(MOST_DIALECTS + self._max_retries):
            dialect = self._dialects.get(name) or self._first_dialect()
            request = _request(name, messages, max_tokens, form, dialect)
            self._begun += 1
            try:
                stream = await self._connected().chat.completions.create(**request)
            except openai.APITimeoutError:
                raise
            except openai.APIStatusError as error:
                if error.status_code == 404:
                    # The server may offer others by now.
                    self._listed = None
                other = None
                if error.status_code in (400, 404, 422, 500):
                    other = dialect.without(_words(error), json_asked=form is not None)
                if other is not None:
                    self._dialects[name] = other
                    continue
                pause = _pause(error, failures)
                if failures >= self._max_retries or pause is None:
                    raise
            except openai.APIConnectionError:
                pause = _pause(None, failures)
                if failures >= self._max_retries or pause is None:
                    raise
            else:
                return await self._read(stream, name, on_delta, asked)
            failures += 1
            await asyncio.sleep(pause)
        raise ModelFailed(
            f"The AI server at {self.settings.host} refuses every way in which it is asked."
        )

    # ------------------------------------------------------------ the connection

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            settings = self.settings
            url = urlsplit(settings.url)
            query = dict(parse_qsl(url.query))
            key = settings.api_key or "none"
            self._client = AsyncOpenAI(
                # Both are given, or the library would read the environment behind our back.
                api_key=key,
                base_url=url._replace(query="", fragment="").geturl(),
                default_query=query or None,
                # Azure's older addresses name a version, and want the key in a header of its own.
                default_headers={"api-key": key} if "api-version" in query else None,
                # It would try again also where the quota is used up, and without an end to it.
                max_retries=0,
                timeout=Timeout(self._silence, connect=min(CONNECT, self._silence)),
                # A redirect would carry the key and the document to somebody else.
                http_client=DefaultAsyncHttpxClient(follow_redirects=False),
            )
        return self._client

    def _first_dialect(self) -> Dialect:
        # OpenAI's own models have given the old name of this parameter up.
        if self.settings.url.startswith(OPENAI_URL):
            return Dialect(length_parameter="max_completion_tokens")
        return Dialect()

    async def _list(self) -> list[str]:
        if self._listed is not None and time.monotonic() - self._listed[0] < LIST_KEPT:
            return list(self._listed[1])
        async with self._translated(LIST_DEADLINE):
            page = await self._connected().models.list()
            data = getattr(page, "data", None)
            if not isinstance(data, list):
                raise ModelFailed(self._strange())
            names = [item.id for item in data if isinstance(getattr(item, "id", None), str)]
            names = [name for name in names if name == _whole_characters(name)]
        self._listed = (time.monotonic(), names)
        return list(names)

    async def _read(
        self,
        stream: AsyncStream[ChatCompletionChunk],
        name: str,
        on_delta: Callable[[str], None] | None,
        asked: int,
    ) -> Answer:
        begun = self._begun
        if not isinstance(stream, AsyncStream):
            raise ModelFailed(self._strange())
        async with stream:
            kind = stream.response.headers.get("content-type", "").split(";")[0].strip().lower()
            if kind == "application/json":
                # Some servers answer all at once, whatever they are asked.
                return self._whole(await stream.response.aread(), name, on_delta, asked)
            if kind != "text/event-stream":
                raise ModelFailed(self._strange())
            pieces: list[str] = []
            size = 0
            usage: Usage | None = None
            reason: str | None = None
            async for chunk in stream:
                usage = _usage(getattr(chunk, "usage", None)) or usage
                for choice in (getattr(chunk, "choices", None) or [])[:1]:
                    piece = getattr(choice.delta, "content", None)
                    if isinstance(piece, str) and piece:
                        pieces.append(piece)
                        size += len(piece)
                        if size > MOST_CHARACTERS:
                            raise AnswerCut(
                                f"The model at {self.settings.host} does not come to an end; "
                                "ask for less at a time."
                            )
                        if on_delta is not None:
                            on_delta(_whole_characters(piece))
                    reason = choice.finish_reason or reason
        if reason is None and self._begun != begun:
            # It was cut when we asked for something else: the server takes one at a time.
            self._turns = asyncio.Semaphore(1)
        return self._ended("".join(pieces), name, usage, reason, asked)

    def _whole(
        self, body: bytes, name: str, on_delta: Callable[[str], None] | None, asked: int
    ) -> Answer:
        try:
            data = json.loads(body)
            choice = data["choices"][0]
            text = choice["message"]["content"] or ""
            reason = choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ModelFailed(self._strange()) from None
        if not isinstance(text, str):
            raise ModelFailed(self._strange())
        answer = self._ended(text, name, _usage(data.get("usage")), reason, asked)
        if on_delta is not None:
            on_delta(answer.text)
        return answer

    def _ended(
        self, text: str, name: str, usage: Usage | None, reason: object, asked: int
    ) -> Answer:
        host = self.settings.host
        if reason == "length":
            raise AnswerCut(
                f"The answer of the model at {host} was cut off because it is too long; ask "
                "for less at a time."
            )
        if reason == "content_filter":
            raise ModelFailed(f"The AI server at {host} refuses to answer this.")
        if reason not in _ENDS:
            raise ModelFailed(f"The answer of the AI server at {host} broke off; try again.")
        if not text.strip():
            raise ModelFailed(f"The model at {host} answered nothing; try again.")
        try:
            # Two halves may have come in two pieces.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise ModelFailed(
                f"The model at {host} answered with half of a character; try again."
            ) from None
        if usage is None:
            usage = Usage(estimate_tokens(asked), estimate_tokens(len(text)), estimated=True)
        return Answer(text, name, usage)

    # ------------------------------------------------------------ what goes wrong

    @contextlib.asynccontextmanager
    async def _translated(self, deadline: float) -> AsyncIterator[None]:
        host = self.settings.host
        try:
            async with asyncio.timeout(deadline):
                yield
        except TimeoutError:
            raise ModelTimeout(
                f"The AI server at {host} did not finish within {deadline:g} seconds; try "
                "again, or ask for less."
            ) from None
        except openai.APITimeoutError:
            raise ModelTimeout(
                f"The AI server at {host} did not answer within {self._silence:g} seconds."
            ) from None
        except openai.APIConnectionError:
            raise ModelFailed(
                f"The AI server at {host} can't be reached; the administrator can check "
                "OPENAI_BASE_URL and whether it runs."
            ) from None
        except openai.APIStatusError as error:
            failed = TooLong if _is_too_long(error) else ModelFailed
            raise failed(self._sentence(error)) from None
        except openai.APIError as error:
            raise ModelFailed(
                f"The AI server at {host} gave up: {self._quoted(error.message)}"
            ) from None
        except openai.OpenAIError:
            raise ModelFailed(
                f"The AI server at {host} can't be asked; the administrator can check its key."
            ) from None
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            # Cut JSON comes out of the library as it is, as do answers of another form.
            log.info("What the AI server answered can't be read: %s", type(error).__name__)
            raise ModelFailed(self._strange()) from None
        except Exception as error:
            if isinstance(error, ModelFailed | ModelTimeout | ModelNotConfigured):
                raise
            if type(error).__module__.split(".")[0] in ("httpx2", "httpcore2", "httpx"):
                # A connection that ends in the middle of a stream.
                raise ModelFailed(
                    f"The answer of the AI server at {host} broke off; try again."
                ) from None
            raise

    def _strange(self) -> str:
        return (
            f"The AI server at {self.settings.host} answered something that is not a model's "
            "answer; the administrator can check OPENAI_BASE_URL, which often ends in /v1."
        )

    def _sentence(self, error: openai.APIStatusError) -> str:
        host, status = self.settings.host, error.status_code
        words = _words(error)
        if status in (401, 403):
            return (
                f"The AI server at {host} refuses the key; the administrator can check "
                "OPENAI_API_KEY."
            )
        if status == 404:
            return (
                f"The AI server at {host} does not know the model or the address; the "
                "administrator can check COLLAB_AI_MODEL and OPENAI_BASE_URL."
            )
        if status == 429:
            if _is_quota(words):
                return f"The account at {host} has used up its quota."
            return f"The AI server at {host} is too busy; try again in a moment."
        if _is_too_long(error):
            return "The document is too long for this model; choose a part of it."
        if 300 <= status < 400:
            return (
                f"The AI server at {host} sends us elsewhere, where we do not go; the "
                "administrator can set OPENAI_BASE_URL to the right address."
            )
        if status >= 500:
            return f"The AI server at {host} is out of order ({status}); try again later."
        return f"The AI server at {host} refuses ({status}): {self._quoted(error.message)}"

    def _quoted(self, message: object) -> str:
        text = _whole_characters(" ".join(str(message).split()))
        if self.settings.api_key:
            text = text.replace(self.settings.api_key, "…")
        text = text[:200].rstrip(".")
        return f"“{text}”."


def _whole_characters(text: str) -> str:
    """Return a text without halves of characters, which JSON can hold and UTF-8 can't."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _pause(error: openai.APIStatusError | None, failures: int) -> float | None:
    """Return how long to wait before the next attempt; None where it would be of no use."""
    pause: float = PAUSE * 2.0**failures * (1 + random.random() / 2)  # noqa: S311 (nobody has to guess it)
    if error is None:
        return pause
    if error.status_code not in (408, 409, 429) and error.status_code < 500:
        return None
    if error.status_code == 429 and _is_quota(_words(error)):
        return None
    try:
        wanted = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return pause
    if not 0 <= wanted <= LONGEST_PAUSE:
        return None
    return max(pause, wanted)


def _is_quota(words: str) -> bool:
    return "quota" in words or "billing" in words


def _is_too_long(error: openai.APIStatusError) -> bool:
    status = error.status_code
    return status == 413 or (status == 400 and "context" in _words(error))


def _words(error: openai.APIStatusError) -> str:
    return f"{error.message} {getattr(error, 'code', '')} {error.body!r}".lower()[:4000]


def _request(
    name: str,
    messages: Sequence[Message],
    max_tokens: int,
    form: JsonForm | None,
    dialect: Dialect,
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": name,
        "messages": [dict(message) for message in messages],
        "stream": True,
        dialect.length_parameter: max_tokens,
    }
    if dialect.temperature:
        request["temperature"] = 0.2
    if dialect.stream_usage:
        request["stream_options"] = {"include_usage": True}
    if form is None or dialect.json_mode is JsonMode.PROMPT:
        return request
    if dialect.json_mode is JsonMode.SCHEMA:
        request["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": form.name, "schema": dict(form.schema), "strict": True},
        }
    elif dialect.json_mode is JsonMode.OBJECT_WITH_SCHEMA:
        # llama-cpp-python makes a rule in a rule of each character that a string may have, and
        # falls over a few hundred of them.
        schema = _without_lengths(form.schema)
        request["response_format"] = {"type": "json_object", "schema": schema}
    else:
        request["response_format"] = {"type": "json_object"}
    return request


def _without_lengths(schema: Any) -> Any:
    """Return a JSON schema without bounds on the length of texts and lists."""
    if isinstance(schema, Mapping):
        return {
            key: _without_lengths(value)
            for key, value in schema.items()
            if key not in ("maxLength", "maxItems")
        }
    return [_without_lengths(one) for one in schema] if isinstance(schema, list) else schema


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None

    def number(key: str) -> int:
        value = usage.get(key) if isinstance(usage, Mapping) else getattr(usage, key, 0)
        return value if isinstance(value, int) and value >= 0 else 0

    counted = Usage(number("prompt_tokens"), number("completion_tokens"))
    # A question is never nothing: some servers send the form and do not fill it in.
    return counted if counted.prompt_tokens or counted.completion_tokens else None
