"""What admins do at a terminal, on both databases, in this process."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError

from jupyter_collab_ai.cli import desk, main, passwords
from jupyter_collab_ai.cli.main import DONE, FAILED, INTERRUPTED
from jupyter_collab_ai.identity import keys, store
from jupyter_collab_ai.identity.passwords import Hasher
from jupyter_collab_ai.identity.starter import ensure_starter
from jupyter_collab_ai.identity.tokens import Audience, Tokens
from jupyter_collab_ai.ids import LoginId, UserId
from jupyter_collab_ai.storage import audit, roots
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import users

PASSWORD = "correct horse battery"
DAY = timedelta(days=1)
Cli = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def boss(database: Database) -> store.User:
    """The account of whoever starts the server, who is at the terminal too."""
    return await database.write(lambda tx: ensure_starter(tx, "boss"))


@pytest.fixture
def cli(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Cli:
    """Runs a command, ``user …`` if not said otherwise: exit status, output and errors."""
    monkeypatch.setenv("COLLAB_AI_DATABASE_URL", database_url)
    monkeypatch.setenv("COLLAB_AI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "boss")
    monkeypatch.setattr(desk, "owner_name", lambda path: "boss")

    async def run(*arguments: str, given: str = PASSWORD) -> tuple[int, str, str]:
        stdin = io.TextIOWrapper(io.BytesIO(given.encode(errors="surrogateescape")))
        monkeypatch.setattr("sys.stdin", stdin)
        subject = () if arguments[0] in ("keys", "audit") else ("user",)
        status = await asyncio.to_thread(main.main, [*subject, *arguments])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
async def ada(cli: Cli, boss: store.User) -> str:
    """Somebody with an account."""
    status, _, _ = await cli("create", "ada", "--password-stdin")
    assert status == DONE
    return "ada"


async def find(database: Database, username: str) -> store.User | None:
    return await database.read(lambda tx: store.find_user_named(tx, username))


async def hash_of(database: Database, username: str) -> str:
    statement = select(users.c.password_hash).where(users.c.username == username)
    return str(await database.read(lambda tx: tx.execute(statement).scalar_one()))


# ---------------------------------------------------------------- create


async def test_create(cli: Cli, database: Database) -> None:
    given = ("create", "Ada", "--display-name", "Ada L", "--email", "a@b.org", "--password-stdin")
    assert await cli(*given) == (DONE, "ada has an account.\n", "")
    user = await find(database, "ada")
    assert user is not None
    assert (user.display_name, user.email) == ("Ada L", "a@b.org")
    assert (user.is_admin, user.is_active) == (False, True)
    assert await Hasher().verify(await hash_of(database, "ada"), PASSWORD)


async def test_create_an_admin(cli: Cli, database: Database) -> None:
    status, out, _ = await cli("create", "ada", "--admin", "--password-stdin")
    assert (status, out) == (DONE, "ada has an account, and is an admin.\n")
    user = await find(database, "ada")
    assert user is not None
    assert user.is_admin


async def test_an_empty_database_is_brought_up_to_date(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("COLLAB_AI_DATABASE_URL", database_url)
    monkeypatch.setenv("COLLAB_AI_DATA_DIR", str(tmp_path / "new"))
    assert await asyncio.to_thread(main.main, ["user", "list"]) == DONE
    assert capfd.readouterr().out.startswith("There are no accounts in the ")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ADA", "This username is taken; choose another."),
        ("boss", "This username is reserved for whoever starts the server; choose another."),
        ("a b", "A username has 2 to 64 of the characters"),
    ],
)
async def test_a_name_that_nobody_can_get(cli: Cli, ada: str, name: str, sentence: str) -> None:
    status, out, err = await cli("create", name, "--password-stdin")
    assert (status, out) == (FAILED, "")
    assert err.startswith(sentence)


async def test_a_reserved_name_is_so_before_the_first_start(cli: Cli, database: Database) -> None:
    status, _, err = await cli("create", "boss", "--password-stdin")
    assert (status, err.split(";")[0]) == (
        FAILED,
        "This username is reserved for whoever starts the server",
    )
    assert await find(database, "boss") is None


async def test_where_somebody_has_the_name_the_one_after_it_is_reserved(
    cli: Cli, database: Database
) -> None:
    await database.write(lambda tx: store.add_user(tx, "boss"))
    status, _, err = await cli("create", "boss-admin", "--password-stdin")
    assert (status, "reserved" in err) == (FAILED, True)
    await database.write(lambda tx: store.add_user(tx, "boss-admin"))
    # No server of theirs starts now, and says so; the terminal is where to mend it.
    assert (await cli("promote", "boss"))[0] == DONE
    starter = await database.write(lambda tx: ensure_starter(tx, "boss"))
    assert starter.username == "boss"


async def test_the_owner_of_the_servers_files_is_one_who_starts_it(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "owner_name", lambda path: "jupyter")
    for name in ("boss", "jupyter"):
        assert (await cli("create", name, "--password-stdin"))[0] == FAILED


async def test_the_name_of_a_deleted_account(cli: Cli, database: Database) -> None:
    await database.write(lambda tx: store.remember_username(tx, "ada"))
    status, _, err = await cli("create", "ada", "--password-stdin")
    assert (status, "was deleted" in err) == (FAILED, True)
    assert (await cli("create", "ada", "--reuse-name", "--password-stdin"))[0] == DONE
    # Whoever has it now is not taken for nobody.
    status, _, err = await cli("create", "ada", "--reuse-name", "--password-stdin")
    assert (status, "is taken" in err) == (FAILED, True)


async def test_a_name_under_which_there_are_files(
    cli: Cli, database: Database, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    await database.write(lambda tx: roots.claim(tx, str(root)))
    (root / "users" / "migrations").mkdir(parents=True)
    (root / "users" / "models.py").touch()
    # An empty folder is nobody's.
    assert (await cli("create", "migrations", "--password-stdin"))[0] == DONE
    (root / "users" / "ada").mkdir()
    (root / "users" / "ada" / "0001_initial.py").touch()
    for name in ("Ada", "models.py"):
        status, _, err = await cli("create", name, "--password-stdin")
        assert (status, "--reuse-name" in err, err.count("\n")) == (FAILED, True, 1)
        assert await find(database, name.lower()) is None
    assert (await cli("create", "ada", "--reuse-name", "--password-stdin"))[0] == DONE


async def test_files_that_are_out_of_reach_are_not_looked_for(cli: Cli, database: Database) -> None:
    await database.write(lambda tx: roots.claim(tx, "the files of the lab"))
    assert (await cli("create", "ada", "--password-stdin"))[0] == DONE


@pytest.mark.parametrize(
    ("option", "value"), [("--email", "nowhere"), ("--display-name", "\x1b[31mred")]
)
async def test_looks_that_nobody_can_have(
    cli: Cli, database: Database, option: str, value: str
) -> None:
    status, _, err = await cli("create", "ada", option, value, "--password-stdin")
    assert (status, err.count("\n")) == (FAILED, 1)
    assert await find(database, "ada") is None


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (PASSWORD, PASSWORD),
        (f"{PASSWORD}\n", PASSWORD),
        (f"{PASSWORD}\r\n", PASSWORD),
        (f" {PASSWORD} \n", f" {PASSWORD} "),
        ("ÿ" * 1024 + "\n", "ÿ" * 1024),
        ("𝄞" * 1024 + "\r\n", "𝄞" * 1024),
    ],
)
def test_a_password_from_a_pipe(given: str, taken: str) -> None:
    assert passwords.read_password(io.BytesIO(given.encode())) == taken


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"", "A password has at least 8 characters."),
        (b"password123\n", "This is one of the most common passwords; choose another."),
        (b"x" * 5000, "A password has at most 1024 characters."),
        (b"first line\nsecond line\n", "More than one line was piped in; a password is one."),
        (b"\xff" * 12, "The password that was piped in is not UTF-8."),
    ],
)
async def test_what_can_be_no_password(
    cli: Cli, database: Database, given: bytes, sentence: str
) -> None:
    text = given.decode(errors="surrogateescape")
    assert await cli("create", "ada", "--password-stdin", given=text) == (
        FAILED,
        "",
        f"{sentence}\n",
    )
    assert await find(database, "ada") is None


async def test_a_new_password_ends_all_logins_and_tokens(
    cli: Cli, database: Database, ada: str
) -> None:
    before = await find(database, "ada")
    assert before is not None

    def sign_in(tx: Any) -> store.Login:
        return store.add_login(
            tx, before.id, method="password", lifetime=DAY, address=None, user_agent=None
        )

    login = await database.write(sign_in)
    status, out, err = await cli("set-password", "ADA", "--password-stdin", given="another one 1")
    assert (status, err) == (DONE, "")
    assert "another one 1" not in out
    after = await find(database, "ada")
    assert after is not None
    assert after.token_version > before.token_version
    ended = await database.read(lambda tx: store.find_login(tx, login.id))
    assert ended is not None
    assert ended.revoked_at is not None
    assert await Hasher().verify(await hash_of(database, "ada"), "another one 1")


async def test_a_password_as_an_argument_is_not_understood(cli: Cli, capfd: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        await cli("create", "ada", "--password", PASSWORD)
    assert ended.value.code == 2


# ---------------------------------------------------------------- list


async def test_list(cli: Cli, ada: str) -> None:
    status, out, _ = await cli("list")
    assert status == DONE
    header, first, second = out.splitlines()
    assert header.split() == ["USERNAME", "NAME", "E-MAIL", "ADMIN", "ACTIVE", "CREATED"]
    assert first.split()[:5] == ["ada", "ada", "-", "no", "yes"]
    assert second.split()[:5] == ["boss", "boss", "-", "yes", "yes"]


async def test_list_for_programs_shows_what_the_call_shows(
    cli: Cli, database: Database, ada: str
) -> None:
    status, out, _ = await cli("list", "--json")
    assert status == DONE
    user = await find(database, "ada")
    assert user is not None
    assert json.loads(out)[0] == user.as_json()
    assert "argon2" not in out


async def test_list_has_more_than_one_page(
    cli: Cli, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cli("create", "ben", "--password-stdin")
    monkeypatch.setattr(desk, "PAGE", 2)
    _, out, _ = await cli("list", "--json")
    assert [user["username"] for user in json.loads(out)] == ["ada", "ben", "boss"]


# ---------------------------------------------------------------- rights


async def test_promote_and_demote(cli: Cli, database: Database, ada: str) -> None:
    assert await cli("promote", "Ada") == (DONE, "ada is an admin.\n", "")
    assert (await find(database, "ada")).is_admin  # type: ignore[union-attr]
    assert await cli("demote", "ada") == (DONE, "ada is not an admin.\n", "")
    assert not (await find(database, "ada")).is_admin  # type: ignore[union-attr]


async def test_deactivate_and_activate(cli: Cli, database: Database, ada: str) -> None:
    before = await find(database, "ada")
    sentence = "ada is deactivated and signed out everywhere.\n"
    assert await cli("deactivate", "ada") == (DONE, sentence, "")
    after = await find(database, "ada")
    assert before is not None
    assert after is not None
    assert (after.is_active, after.token_version > before.token_version) == (False, True)
    assert await cli("activate", "ada") == (DONE, "ada is active.\n", "")
    assert (await find(database, "ada")).is_active  # type: ignore[union-attr]


@pytest.mark.parametrize("command", ["demote", "deactivate"])
async def test_who_starts_the_server_stays_an_active_admin(
    cli: Cli, database: Database, ada: str, command: str
) -> None:
    await cli("promote", "ada")
    sentence = "This account belongs to whoever starts the server; it stays an active admin.\n"
    assert await cli(command, "boss") == (FAILED, "", sentence)


@pytest.mark.parametrize("command", ["demote", "deactivate"])
async def test_who_starts_a_server_as_another_user_of_the_system_is_known(
    cli: Cli, database: Database, boss: store.User, command: str
) -> None:
    await database.write(lambda tx: ensure_starter(tx, "jupyter"))
    sentence = "This account belongs to whoever starts the server; it stays an active admin.\n"
    assert await cli(command, "jupyter") == (FAILED, "", sentence)
    # ... until somebody says that they start none any more.
    assert (await cli(command, "jupyter", "--no-starter"))[0] == DONE
    found = await find(database, "jupyter")
    assert found is not None
    assert not found.starts_server
    assert found.is_admin == (command != "demote")
    assert found.is_active == (command != "deactivate")


async def test_what_is_done_here_is_in_the_audit_log(cli: Cli, database: Database) -> None:
    await cli("create", "ada", "--password-stdin")
    await cli("promote", "ada")
    await cli("set-password", "ada", "--password-stdin")
    status, out, _ = await cli("audit", "--json", "--user", "BOSS")
    entries = [json.loads(line) for line in out.splitlines()][::-1]
    assert status == DONE
    assert [(entry["action"], entry["target"], entry["detail"]) for entry in entries] == [
        ("account_created", "ada", {"is_admin": False}),
        ("account_changed", "ada", {"is_admin": True}),
        ("password_set", "ada", None),
    ]
    assert {(entry["actor"], entry["address"]) for entry in entries} == {("boss", "terminal")}


async def test_the_audit_log_for_people(cli: Cli, database: Database) -> None:
    def write(tx: Any) -> None:
        for action, target in (("one", "first"), ("two", "sec\x1b[2Jond")):
            audit.note(tx, None, action, session_id="s1", target=target, detail={"a": 1})

    await database.write(write)
    status, out, _ = await cli("audit", "--limit", "1", "--session", "s1")
    assert status == DONE
    header, line = out.splitlines()
    assert header.split() == ["WHEN", "WHO", "WHAT", "WHOM", "FROM", "DETAIL"]
    # No entry plays the terminal.
    assert line.split()[1:] == ["-", "two", r"sec\x1b[2Jond", "-", "a=1"]
    assert (await cli("audit", "--action", "none"))[1].count("\n") == 1


# ---------------------------------------------------------------- keys


async def test_a_new_key_signs_nobody_out(cli: Cli, database: Database, tmp_path: Path) -> None:
    ring = keys.load(tmp_path / "keys.json")
    token = Tokens(ring).mint(
        UserId("u"), LoginId("l"), Audience.COOKIE, timedelta(days=30), version=1
    )
    status, out, _ = await cli("keys", "rotate")
    kid = keys.load(tmp_path / "keys.json").newest.kid
    assert (status, kid in out, kid != ring.keys[0].kid) == (DONE, True, True)
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    later = Tokens(keys.load(tmp_path / "keys.json"))
    assert later.verify(token, Audience.COOKIE).user_id == "u"
    status, out, _ = await cli("keys", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["KEY", kid, ring.keys[0].kid]
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["signs", "verifies"]
    secret = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["key"]
    assert secret not in out
    (line,) = (await cli("audit", "--json"))[1].splitlines()
    assert (json.loads(line)["action"], json.loads(line)["target"]) == ("keys_rotated", kid)


async def test_keys_that_are_not_there_or_not_here(
    cli: Cli, boss: store.User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = await cli("keys", "rotate")
    assert (status, err.startswith("There are no keys in")) == (FAILED, True)
    keys.load(tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(0o640)
    status, _, err = await cli("keys", "rotate")
    assert (status, err.startswith("Others may read the signing keys")) == (FAILED, True)
    monkeypatch.setenv("COLLAB_AI_SECRET_KEY", "s" * 40)
    for command in ("list", "rotate"):
        status, _, err = await cli("keys", command)
        assert (status, "COLLAB_AI_OLD_SECRET_KEYS" in err) == (FAILED, True)


@pytest.mark.parametrize("command", ["demote", "deactivate"])
async def test_the_last_active_admin_stays_one(
    cli: Cli, database: Database, ada: str, boss: store.User, command: str
) -> None:
    await cli("promote", "ada")
    await database.write(lambda tx: store.change_user(tx, boss.id, is_active=False))
    status, _, err = await cli(command, "ada")
    assert (status, err) == (
        FAILED,
        "This is the only active admin; make somebody else one first.\n",
    )
    # Who is none can go.
    await cli("create", "ben", "--password-stdin")
    assert (await cli(command, "ben"))[0] == DONE


@pytest.mark.parametrize("command", ["set-password", "promote", "demote", "activate", "deactivate"])
async def test_somebody_who_is_not_there(cli: Cli, boss: store.User, command: str) -> None:
    more = ["--password-stdin"] if command == "set-password" else []
    status, _, err = await cli(command, "nobody", *more)
    assert status == FAILED
    assert err.startswith("There is no account called nobody in the ")
    assert "collab@" not in err


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql://me:hush@127.0.0.1:1/none",
            "The PostgreSQL database none at 127.0.0.1:1 can't be used: ",
        ),
        ("mysql://me:hush@localhost/none", "COLLAB_AI_DATABASE_URL names 'mysql'"),
    ],
)
async def test_a_database_that_is_of_no_use(
    url: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("COLLAB_AI_DATABASE_URL", url)
    monkeypatch.setenv("COLLAB_AI_DATA_DIR", str(tmp_path))
    assert await asyncio.to_thread(main.main, ["user", "list"]) == FAILED
    err = capfd.readouterr().err
    assert err.startswith(sentence)
    assert (err.count("\n"), "hush" in err) == (1, False)


async def test_a_data_folder_that_can_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("COLLAB_AI_DATA_DIR", str(file))
    monkeypatch.delenv("COLLAB_AI_DATABASE_URL", raising=False)
    assert await asyncio.to_thread(main.main, ["user", "list"]) == FAILED
    assert capfd.readouterr().err == f"File exists: {file}.\n"


async def test_what_the_database_says_stays_out_of_sight(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ProgrammingError("INSERT", {"password_hash": "$argon2id$hush"}, ValueError("hush"))

    monkeypatch.setattr(store, "add_user", refuse)
    assert await cli("create", "ada", "--password-stdin") == (
        FAILED,
        "",
        "The database refused the command (ValueError).\n",
    )


async def test_an_interruption(cli: Cli, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**kwargs: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("jupyter_collab_ai.cli.users.take_password", interrupt)
    assert await cli("set-password", "ada") == (INTERRUPTED, "", "\n")


@pytest.mark.parametrize("arguments", [[], ["user"], ["user", "create"], ["user", "no-such"]])
def test_what_is_not_understood(arguments: list[str], capfd: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith("usage: jupyter collab-ai")
