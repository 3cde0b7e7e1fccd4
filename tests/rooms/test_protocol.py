"""Frames, held against pycrdt's and y-websocket's ways."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import (
    Decoder,
    Doc,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.protocol import (
    AwarenessMessage,
    AwarenessQuery,
    FrameTooLarge,
    MalformedFrame,
    SaveRequest,
    SyncKind,
    SyncMessage,
    UnknownMessage,
    parse_frame,
)

SEEDED = settings(derandomize=True, deadline=None, max_examples=500)


def test_reads_what_pycrdt_writes():
    doc = Doc()
    assert parse_frame(create_sync_message(doc)) == SyncMessage(SyncKind.STEP1, doc.get_state())
    assert parse_frame(create_update_message(b"abc")) == SyncMessage(SyncKind.UPDATE, b"abc")
    assert parse_frame(create_awareness_message(b"abc")) == AwarenessMessage(b"abc")


def test_pycrdt_answers_our_step_1():
    doc = Doc()
    answer = handle_sync_message(protocol.sync_step1(Doc().get_state())[1:], doc)
    assert answer is not None
    assert parse_frame(answer) == SyncMessage(SyncKind.STEP2, doc.get_update())


@SEEDED
@given(st.binary(max_size=300))
def test_there_and_back(payload):
    assert parse_frame(protocol.sync_step1(payload)) == SyncMessage(SyncKind.STEP1, payload)
    assert parse_frame(protocol.sync_step2(payload)) == SyncMessage(SyncKind.STEP2, payload)
    assert parse_frame(protocol.update(payload)) == SyncMessage(SyncKind.UPDATE, payload)
    assert parse_frame(protocol.awareness(payload)) == AwarenessMessage(payload)


def test_jupyterlab_asks_to_save():
    assert parse_frame(b"\x02\x04save\x07") == SaveRequest(7)


def test_what_has_no_meaning_is_told_apart_from_garbage():
    assert parse_frame(b"\x7d\x01\x02") == UnknownMessage(125)
    assert parse_frame(b"\x02\x03foo\x01") == UnknownMessage(2)
    assert parse_frame(b"\x03") == AwarenessQuery()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\3\0",
        b"\0\2\5ab",
        b"\0\2\1ab",
        b"\1",
        b"\2\4save",
        b"\2\1\xff",
        b"\x80",
    ],
)
def test_garbage_is_malformed(data):
    with pytest.raises(MalformedFrame):
        parse_frame(data)


def test_a_large_frame_is_not_read():
    with pytest.raises(FrameTooLarge):
        parse_frame(protocol.update(bytes(100)), limit=100)


@settings(SEEDED, max_examples=2000)
@given(st.binary(max_size=40))
def test_garbage_raises_nothing_else(data):
    with contextlib.suppress(MalformedFrame):
        parse_frame(data)


def test_raw_frames_hold_json():
    decoder = Decoder(protocol.raw({"type": "refused", "reason": "not_yours", "name": "é😀"}))
    assert decoder.read_var_uint() == 2
    assert json.loads(decoder.read_var_string())["name"] == "é😀"
    assert decoder.length == 0


def test_raw_frames_without_a_type_are_not_sent():
    with pytest.raises(ValueError, match="type"):
        protocol.raw({"reason": "x"})


def test_y_websocket_reads_no_refusal_into_raw_frames():
    """Its message 2 means "permission denied" where the next number is 0; ours is a length."""
    decoder = Decoder(protocol.raw({"type": "saved", "seq": 1}))
    assert decoder.read_var_uint() == 2
    assert decoder.read_var_uint() > 0


@given(st.integers(0, 2**53))
def test_saved_is_the_raw_frame_of_that_content(number: int) -> None:
    assert protocol.saved(number) == protocol.raw({"type": "saved", "seq": number})
