"""Secrets are taken out before code leaves, and put back into what comes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.answers import hide_secrets, parse_review
from jupyter_collab_ai.ai.masking import Restorer, mask

#: Made up, and put together here so that nobody takes them for real ones that were lost.
KEYS = {
    "amazon": "AKIA" + "IOSFODNN7EXAMPL3",
    "github": "ghp_" + "a1B2c3D4e5" * 4,
    "openai": "sk-" + "proj-a1B2c3D4e5F6g7H8",
    "slack": "xoxb-" + "123456789012-abcdefABCDEF",
    "google": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_known_by_their_form(kind: str) -> None:
    secret = KEYS[kind]
    text = f"import os\nclient = connect(key={secret!r})  # {secret}\n"
    (masked,), masks = mask([text])
    assert secret not in masked
    assert masks.restore(masked) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('password = "hunter2"', "hunter2"),
        ("conf['db_password'] = 'pa$$w0rd!'", "pa$$w0rd!"),
        ('{"api_key": "1234abcd5678"}', "1234abcd5678"),
        ("url = 'postgresql://ada:s3cr3t@db/x'", "s3cr3t"),
        ("DATABASE_PASSWORD=correcthorse9", "correcthorse9"),
        ('PASSWORD: str = "x"\nSECRET_KEY = "abc123def456"', "abc123def456"),
        ("blob = 'q7Zk1Xw9PzL4vT2sB8nR5mY3cD6fG0hJ1kA9eU7iO5'", "q7Zk1Xw9PzL4vT2sB8nR5mY3cD6"),
    ],
)
def test_values_that_are_secrets(text: str, secret: str) -> None:
    (masked,), masks = mask([text])
    assert secret not in masked
    assert masks.restore(masked) == text


@pytest.mark.parametrize(
    "text",
    [
        'token = "NUMBER"',
        "if token == 'abc123def456ghi':",
        "password = os.environ['DB_PASSWORD']",
        'password = "${DB_PASSWORD}"',
        'password = "********"',
        'password = "<your password>"',
        "def login(password: str, token: str) -> None: ...",
        "URL = 'https://example.org:8080/path@2x.png'",
        "name = 'a_rather_long_name_of_something_with_words'",
        "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
        "text = 'password'",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert mask([text])[0] == [text]


def test_a_private_key_keeps_its_lines() -> None:
    body = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + str(n) * 8 for n in range(4))
    text = f'KEY = """-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"""\n'
    (masked,), masks = mask([text])
    assert "MIIEvQ" not in masked
    assert masked.count("\n") == text.count("\n")
    assert masks.restore(masked) == text


def test_a_short_secret_is_not_taken_out_of_other_words() -> None:
    text = 'import test\npassword = "test"\nlatest = testing("test")\n'
    (masked,), masks = mask([text])
    assert masked.startswith("import test\npassword = ")
    assert 'password = "test"' not in masked
    assert "latest = testing(" in masked
    assert masks.restore(masked) == text


def test_the_same_secret_is_the_same_word_in_all_texts() -> None:
    secret = KEYS["github"]
    (one, two), masks = mask([f"a = '{secret}'", f"b = '{secret}'"])
    assert one[len("a = ") :] == two[len("b = ") :]
    assert len(masks.secrets) == 1


def test_words_that_are_there_already_are_not_taken_for_ours() -> None:
    text = f"MASKED_SECRET_1_X = '{KEYS['github']}'"
    (masked,), masks = mask([text])
    assert masked.startswith("MASKED_SECRET_1_X = 'MASKED_SECRET_1_XX")
    assert masks.restore(masked) == text


def test_nothing_secret_is_in_a_repr() -> None:
    _, masks = mask([f"a = '{KEYS['github']}'"])
    assert KEYS["github"] not in repr(masks)


_TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from([f"key = '{key}'" for key in KEYS.values()]),
        st.sampled_from(["password='", 'token = "', "://a:", "@", "'", '"', "MASKED_SECRET_1_X"]),
    ),
    max_size=8,
).map("".join)


@given(st.lists(_TEXTS, max_size=4))
def test_what_was_taken_out_comes_back(texts: list[str]) -> None:
    masked, masks = mask(texts)
    assert [masks.restore(text) for text in masked] == texts
    assert [text.count("\n") for text in masked] == [text.count("\n") for text in texts]
    for secret in KEYS.values():
        for before, after in zip(texts, masked, strict=True):
            if f"'{secret}'" in before:
                assert f"'{secret}'" not in after


@given(_TEXTS, st.lists(st.integers(0, 400), max_size=12))
def test_in_pieces_it_comes_back_the_same(text: str, cuts: list[int]) -> None:
    (masked,), masks = mask([text])
    restorer = Restorer(masks)
    places = sorted({0, len(masked), *(min(cut, len(masked)) for cut in cuts)})
    pieces = [masked[start:end] for start, end in pairwise(places)]
    assert "".join([*map(restorer.feed, pieces), restorer.end()]) == text


def test_people_are_not_told_secrets() -> None:
    text = f"password = 'hunter2'\nkey = '{KEYS['github']}'\n"
    _, masks = mask([text])
    told = masks.hide(f"The password hunter2 and {KEYS['github']} stand in the code; hunter22 not.")
    assert told == "The password [secret] and [secret] stand in the code; hunter22 not."


def test_a_review_quotes_secrets_and_tells_none() -> None:
    key = KEYS["github"]
    _, masks = mask([f"key = '{key}'\n"])
    review = hide_secrets(
        parse_review(
            json.dumps(
                {
                    "summary": f"{key} is there.",
                    "findings": [
                        {
                            "title": f"A key: {key}",
                            "explanation": f"Whoever reads {key} can use it.",
                            "quote": f"key = '{key}'",
                            "fix": {
                                "description": f"Take {key} out",
                                "search": f"'{key}'",
                                "replace": "os.environ['KEY']",
                            },
                        }
                    ],
                    "assessments": [{"finding": "A1", "verdict": "confirm", "reason": key}],
                }
            )
        ),
        masks,
    )
    (finding,) = review.findings
    assert finding.quote == f"key = '{key}'"
    assert finding.fix is not None
    assert finding.fix.search == f"'{key}'"
    told = (review.summary, finding.title, finding.explanation, finding.fix.description)
    assert not any(key in one for one in (*told, review.assessments[0].reason))
