"""Secrets are taken out before code leaves, and put back into what comes."""

from __future__ import annotations

import json
import time
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
        ('password: str = "hunter2"', "hunter2"),
        ('pw: str | None = "hunter2"', "hunter2"),
        ('password = "correct horse battery"', "correct horse battery"),
        ('password = """hunter2222"""', "hunter2222"),
        ('password = "hunt\\"er22"', "hunt"),
        ('h = {"Authorization": "Bearer abcdef1234567890abcdef"}', "abcdef1234567890abcdef"),
        ('h = {"Authorization": "Basic dXNlcjpwYXNzd29yZDEyMw=="}', "dXNlcjpwYXNzd29yZDEyMw=="),
        ("curl -H 'Authorization: Bearer abcdef1234567890' x", "abcdef1234567890"),
        ("db:\n  password: Hunter2Hunter2\n", "Hunter2Hunter2"),
        ("export db_password=Hunter2Hunter2\n", "Hunter2Hunter2"),
        ("export DB_PASSWORD=swordfish\r\n", "swordfish"),
        ("PASSWORD=hunter2\n", "hunter2"),
        ("%env OPENAI_API_KEY=abc123def456ghi789", "abc123def456ghi789"),
        ('pw = os.getenv("DB_PASSWORD", "hunter2222")', "hunter2222"),
        ('password = os.environ.get("X") or "hunter2222"', "hunter2222"),
        ('if password == "hunter2222":', "hunter2222"),
        ('SECRET_KEY = "django-insecure-abcdefgh"', "django-insecure-abcdefgh"),
        ("u = 'https://hooks.slack.com/services/T0/B0/abcdEFGHijkl'", "T0/B0/abcdEFGHijkl"),
        ('c = "AccountName=a;AccountKey=abcdEFGH1234+/abcd==;"', "abcdEFGH1234+/abcd=="),
        ('c = "Server=x;User Id=sa;Password=Sup3rS3cret;"', "Sup3rS3cret"),
        ('connect("dbname=x user=y password=hunter2222")', "hunter2222"),
        ('u = "https://x/y?api_key=abcdef1234567890"', "abcdef1234567890"),
        ('requests.get(u, auth=("bob", "hunter2222"))', "hunter2222"),
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
        "password = getpass()",
        "password = getpass('Password: ')",
        "token = tokens[0]",
        'if password == "":',
        "password: str\ntoken: UInt64\npassword: SecretStr2 = Field(...)",
        "    password=password,\n    token=self.token2",
        "connect(user=user, password=other2)",
        'compass = "north"',
        'password = "Enter your password: "',
        'PASSWORD = "password"',
        "parser.add_argument('--password', '-p')",
        'password = getpass("%s" % (host or "localhost"))',
        'f"postgresql://{user}:{password}@{host}/x?password={password}"',
        'h = {"Authorization": f"Bearer {token}"}',
        "cursor.execute('SELECT 1 FROM u WHERE password=%s', (password,))",
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


def test_what_has_to_be_escaped_is_never_part_of_a_secret() -> None:
    # The model's answer may be JSON, in which the words stand that secrets are put in for.
    text = 'password = "a1b2\\"c3d4\\\\e5f6"\n'
    (masked,), masks = mask([text])
    assert masked.count("MASKED") == 3
    assert not any(set(secret) & set("\"'\\\n") for secret in masks.secrets.values())
    assert masks.restore(masked) == text


def test_secrets_that_overlap_leave_nothing() -> None:
    text = f"url = 'https://ada:{KEYS['github']}@x/?token={KEYS['github']}&password=abc'"
    (masked,), masks = mask([text])
    assert "ghp_" not in masked
    assert masks.restore(masked) == text


HOSTILE = [
    "-eyJ" * 25_000,
    "-----BEGIN PRIVATE KEY-----" * 4_000,
    "password=" * 11_000,
    "password = x or " * 6_000,
    'password="' * 10_000,
    "a" * 100_000,
    '"' * 100_000,
    "-" * 100_000,
    "a://a:" * 16_000,
    "-sk-" * 25_000,
    "authorization:" * 7_000,
    "\n".join(f"password = 'pass{number}word'" for number in range(5_000)),
    f"MASKED_SECRET__{'X' * 90_000} password = 'hunter2'",
    "token = 'a1-" + "-" * 500 + "'\n" + "-" * 90_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_secrets_are_looked_for_soon(text: str) -> None:
    begun = time.thread_time()
    (masked,), masks = mask([text])
    assert masks.restore(masked) == text
    restorer = Restorer(masks)
    pieces = [masked[at : at + 50] for at in range(0, len(masked), 50)]
    assert "".join([*map(restorer.feed, pieces), restorer.end()]) == text
    for _ in range(100):
        masks.hide("The password of this is told to nobody. " * 50)
    assert time.thread_time() - begun < 10


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
