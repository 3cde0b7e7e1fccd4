"""Tokens that are forged, stale or for something else are refused, and keys stay private."""

from __future__ import annotations

import base64
import itertools
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import NotAuthenticated, TokenExpired
from jupyter_collab_ai.identity import keys
from jupyter_collab_ai.identity.keys import UnsafeKeys
from jupyter_collab_ai.identity.tokens import ALGORITHM, ISSUER, Audience, Tokens
from jupyter_collab_ai.ids import LoginId, UserId
from jupyter_collab_ai.settings import Settings

RING = keys.from_secret("a secret of more than thirty-two characters")
TOKENS = Tokens(RING)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
NEEDED = ("exp", "iat", "nbf", "iss", "aud", "sub", "sid", "ver")
NUMBERS = itertools.count(1)


def mint(audience=Audience.ACCESS, lifetime=MINUTE, tokens=TOKENS):
    return tokens.mint(UserId("u"), LoginId("l"), audience, lifetime, version=1)


def forge(algorithm=ALGORITHM, key=None, headers=None, leave_out=(), **claims):
    now = utcnow()
    payload = {
        "iss": ISSUER,
        "aud": Audience.ACCESS.value,
        "sub": "u",
        "sid": "l",
        "ver": 1,
        "jti": "j",
        "iat": now,
        "nbf": now,
        # The tokens are made when the tests are collected, which may be long before they run.
        "exp": now + DAY,
        **claims,
    }
    for name in leave_out:
        del payload[name]
    return jwt.encode(
        payload,
        RING.newest.secret if key is None else key,
        algorithm=algorithm,
        headers={"kid": RING.newest.kid, **(headers or {})},
    )


def test_a_good_token():
    claims = TOKENS.verify(mint(), Audience.ACCESS)
    assert (claims.user_id, claims.login_id) == ("u", "l")
    assert TOKENS.verify(forge(), Audience.ACCESS).user_id == "u"


def test_a_token_for_one_thing_is_no_good_for_another():
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(mint(Audience.COOKIE), Audience.ACCESS)
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(mint(), Audience.COOKIE)


def test_an_expired_token_says_so():
    with pytest.raises(TokenExpired):
        TOKENS.verify(mint(lifetime=-MINUTE), Audience.ACCESS)


def test_clocks_may_differ_by_a_little():
    now = utcnow() + timedelta(seconds=5)
    assert TOKENS.verify(forge(iat=now, nbf=now), Audience.ACCESS)


@pytest.mark.parametrize(
    "token",
    [
        forge(algorithm="none", key=""),
        forge(algorithm="HS512"),
        forge(key=b"x" * 32),
        forge(headers={"kid": "other"}),
        forge(iss="somebody"),
        forge(aud="somebody"),
        forge(aud=[Audience.ACCESS.value, "somebody"]),
        forge(nbf=utcnow() + DAY),
        forge(iat=utcnow() + DAY),
        forge(sid=7),
        forge(ver="1"),
        forge(ver=True),
        *(forge(leave_out=[name]) for name in NEEDED),
        "",
        "a.b.c",
        "x" * 5000,
        ".".join(["e30"] * 3),
    ],
    # The tokens differ from run to run, so their numbers name them.
    ids=lambda _: str(next(NUMBERS)),
)
def test_a_forged_token_is_nothing(token):
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(token, Audience.ACCESS)


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text):
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(text, Audience.ACCESS)


def test_a_changed_token_is_nothing():
    header, payload, signature = mint().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "somebody else"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(NotAuthenticated):
        TOKENS.verify(f"{header}.{changed}.{signature}", Audience.ACCESS)


def test_servers_with_one_secret_know_each_others_tokens():
    other = Tokens(keys.from_secret("a secret of more than thirty-two characters"))
    assert other.verify(mint(), Audience.ACCESS)
    with pytest.raises(NotAuthenticated):
        Tokens(keys.from_secret("another secret of more than 32 characters")).verify(
            mint(), Audience.ACCESS
        )


def test_a_short_secret_is_refused_without_being_said():
    with pytest.raises(UnsafeKeys) as caught:
        keys.from_secret("hunter2")
    assert "hunter2" not in str(caught.value)


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path):
    path = tmp_path / "new" / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: keys.load(path), range(8)))
    assert len({ring.newest.secret for ring in rings}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["keys.json"]
    assert rings[0].newest.secret.hex() not in repr(rings[0]) + repr(rings[0].newest)


def test_keys_that_others_may_read_are_refused(tmp_path):
    path = tmp_path / "keys.json"
    keys.load(path)
    path.chmod(0o644)
    with pytest.raises(UnsafeKeys, match="chmod 600"):
        keys.load(path)


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": [{"kid": "a"}]}', "[]"])
def test_damaged_keys_are_refused(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UnsafeKeys):
        keys.load(path)


def test_a_new_key_logs_nobody_out(tmp_path):
    path = tmp_path / "keys.json"
    old = mint(tokens=Tokens(keys.load(path)))
    ring = keys.rotate(path, keep=3600)
    assert Tokens(ring).verify(old, Audience.ACCESS)
    new = mint(tokens=Tokens(ring))
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]


def test_a_key_is_kept_as_long_as_a_token_that_it_signed_may_live():
    day = 24 * 3600.0
    ring = keys.KeyRing([keys.Key("a", b"a" * 32, 0.0)])
    # It signed until it was replaced on the hundredth day, so tokens live 30 days longer.
    ring = ring.rotated(keep=30 * day, now=100 * day)
    ring = ring.rotated(keep=30 * day, now=101 * day)
    assert ring.find("a") is not None
    assert len(ring.keys) == 3
    ring = ring.rotated(keep=30 * day, now=140 * day)
    assert ring.find("a") is None
    assert len(ring.keys) == 2


def test_a_server_that_runs_finds_a_key_that_another_one_added(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "LOOK_FOR_UNKNOWN", 0.0)
    path = tmp_path / "keys.json"
    running = Tokens(keys.load(path))
    before = mint(tokens=running)
    new = mint(tokens=Tokens(keys.rotate(path, keep=3600)))
    assert running.verify(new, Audience.ACCESS)
    assert running.verify(before, Audience.ACCESS)
    kid = jwt.get_unverified_header(new)["kid"]
    assert jwt.get_unverified_header(mint(tokens=running))["kid"] == kid


def test_a_file_of_keys_that_goes_bad_is_not_believed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(keys, "LOOK_FOR_UNKNOWN", 0.0)
    path = tmp_path / "keys.json"
    ring = keys.load(path)
    token = mint(tokens=Tokens(ring))
    path.write_text("{}")
    assert ring.find("unknown") is None
    assert Tokens(ring).verify(token, Audience.ACCESS)
    assert "not read again" in caplog.text


def test_servers_that_run_drop_the_keys_of_a_file_that_was_deleted(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    first, second, idle = (Tokens(keys.load(path)) for _ in range(3))
    leaked = mint(tokens=first)
    path.unlink()
    monkeypatch.setattr(keys, "LOOK_FOR_NEWEST", 0.0)
    # Also on a server that signs nothing meanwhile.
    with pytest.raises(NotAuthenticated):
        idle.verify(leaked, Audience.ACCESS)
    fresh = mint(tokens=first)
    for server in (first, second, idle, Tokens(keys.load(path))):
        assert server.verify(fresh, Audience.ACCESS)
        with pytest.raises(NotAuthenticated):
            server.verify(leaked, Audience.ACCESS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["keys.json"]


def test_servers_that_miss_the_file_at_once_agree_on_a_key(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    rings = [keys.load(path) for _ in range(8)]
    old = rings[0].newest
    path.unlink()
    monkeypatch.setattr(keys, "LOOK_FOR_NEWEST", 0.0)
    with ThreadPoolExecutor(8) as pool:
        newest = set(pool.map(lambda ring: ring.newest, rings))
    assert len(newest) == 1
    assert old not in newest


def test_deleted_keys_are_gone_also_where_no_new_ones_can_be_kept(tmp_path, monkeypatch, caplog):
    path = tmp_path / "keys.json"
    running = Tokens(keys.load(path))
    leaked = mint(tokens=running)
    path.unlink()
    monkeypatch.setattr(keys, "LOOK_FOR_NEWEST", 0.0)

    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(keys, "_create", full)
        with pytest.raises(NotAuthenticated):
            running.verify(leaked, Audience.ACCESS)
        fresh = mint(tokens=running)
        assert running.verify(fresh, Audience.ACCESS)
        assert "No space left" in caplog.text
    # As soon as there is room, it is kept.
    assert running.verify(fresh, Audience.ACCESS)
    assert Tokens(keys.load(path)).verify(fresh, Audience.ACCESS)


def test_keys_are_made_where_files_can_not_be_linked(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError("This file system has no links.")

    monkeypatch.setattr(keys.os, "link", no_links)
    path = tmp_path / "keys.json"
    ring = keys.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.load(path).newest == ring.newest
    assert [item.name for item in tmp_path.iterdir()] == ["keys.json"]


def test_keys_of_somebody_else_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    keys.load(path)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        me = os.geteuid()
        monkeypatch.setattr(keys.os, "geteuid", lambda: me + 1)
    with pytest.raises(UnsafeKeys, match="somebody else"):
        keys.load(path)


# ---------------------------------------------------------------- secrets of the environment


def test_a_new_secret_signs_nobody_out_while_the_old_one_is_kept():
    old = Tokens(keys.from_secret("o" * 40))
    token = old.mint(UserId("u"), LoginId("l"), Audience.ACCESS, timedelta(minutes=1), version=1)
    ring = keys.from_secret("n" * 40, ["o" * 40, "p" * 40])
    assert ring.newest.kid == keys.from_secret("n" * 40).newest.kid
    assert Tokens(ring).verify(token, Audience.ACCESS).user_id == "u"
    with pytest.raises(NotAuthenticated):
        Tokens(keys.from_secret("n" * 40)).verify(token, Audience.ACCESS)
    with pytest.raises(UnsafeKeys, match="COLLAB_AI_OLD_SECRET_KEYS"):
        keys.from_secret("n" * 40, ["short"])


def test_old_secrets_without_one_that_signs_are_not_ignored(tmp_path):
    with pytest.raises(UnsafeKeys, match="without COLLAB_AI_SECRET_KEY"):
        keys.key_ring(Settings(None, tmp_path, old_secret_keys=("o" * 40,)))
    assert list(tmp_path.iterdir()) == []
    both = keys.key_ring(Settings(None, tmp_path, "n" * 40, ("o" * 40,)))
    assert len(both.keys) == 2
    kept = keys.key_ring(Settings(None, tmp_path))
    assert kept.newest == keys.load(tmp_path / "keys.json").newest


def test_where_the_key_comes_from_is_told_without_it(tmp_path):
    assert keys.origin(Settings(None, tmp_path, "n" * 40)) == "COLLAB_AI_SECRET_KEY"
    assert keys.origin(Settings(None, tmp_path)) == f"the key in {tmp_path / 'keys.json'}"


def test_no_key_is_lost_where_several_rotate_at_once(tmp_path):
    path = tmp_path / "keys.json"
    keys.load(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: keys.rotate(path, keep=3600), range(8)))
    assert len(keys.load(path).keys) == 9
