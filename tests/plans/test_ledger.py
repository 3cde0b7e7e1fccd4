"""What the ledger says has to be there, and that it finds what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plans.generate import generate, is_followed, plan_of
from tests.plans.ledger import Account, Fate, Ledger

A, B, C = "丁", "𠀂", "🍄"


def _ledger(role: str = "editor") -> tuple[Ledger, Account]:
    ledger = Ledger()
    ledger.roles.set(1, "text", role)
    return ledger, Account(ledger, "somebody", 1, "text")


def _done(inserted: str = "", deleted: str = "", **more: Any) -> dict[str, Any]:
    return {
        "inserted": [("", inserted)] if inserted else [],
        "deleted": [("", deleted)] if deleted else [],
        "added": [],
        "gone": [],
        **more,
    }


def _wrong(ledger: Ledger, text: str) -> list[str]:
    return [sentence.partition(":")[2] for sentence in ledger.check("text", [("", text)])]


def test_what_was_acknowledged_is_there_once():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(A + B), 1)
    account.saved(1)
    assert not ledger.check("text", [("", f"x{A}{B}\n")])
    assert len(_wrong(ledger, A)) == 1, "lost"
    assert len(_wrong(ledger, A + B + B)) == 1, "doubled"
    assert len(_wrong(ledger, A + B + C)) == 1, "of nobody"


def test_what_was_not_acknowledged_may_be_there_or_not():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(A), 1)
    account.connection()
    account.fresh()
    assert not _wrong(ledger, A)
    assert not _wrong(ledger, "")
    assert _wrong(ledger, A + A)


def test_a_step_2_brings_what_was_typed_offline():
    ledger, account = _ledger()
    account.typed(_done(A), None)
    account.connection()
    account.saved(0)
    assert account.pending
    account.step2(1)
    account.saved(1)
    assert not account.pending
    assert _wrong(ledger, "")


def test_what_was_deleted_is_gone_and_what_was_moved_may_be_doubled():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(A + B), 1)
    account.typed(_done(deleted=A), 2)
    account.typed(_done(B, B), 3)
    account.saved(3)
    assert not _wrong(ledger, B)
    assert not _wrong(ledger, B + B)
    assert _wrong(ledger, A + B), "come back from the dead"


def test_undo_may_bring_back_and_take_away():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(A), 1)
    account.typed(_done(deleted=A), 2)
    account.typed({"popped": 1}, 3)
    account.saved(3)
    assert not _wrong(ledger, A)
    account.typed({"popped": 1}, None, changed=False)
    assert not account.pending


@pytest.mark.parametrize("by", ["was_refused", "was_reset"])
def test_nothing_that_was_refused_is_anywhere(by):
    ledger, account = _ledger("viewer")
    account.connection()
    account.typed(_done(A), 1)
    getattr(account, by)({"type": by, "reason": "role_required"})
    account.typed(_done(B), 2)
    assert not ledger.faults
    assert not _wrong(ledger, "")
    assert _wrong(ledger, A)
    assert _wrong(ledger, B)
    account.fresh()
    assert not account.refused


def test_a_refused_deletion_deletes_nothing():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(A), 1)
    account.saved(1)
    ledger.roles.set(1, "text", "viewer")
    account.typed(_done(deleted=A), 2)
    account.was_refused({"reason": "role_required"})
    assert _wrong(ledger, "")


def test_a_viewers_edit_must_not_be_acknowledged():
    ledger, account = _ledger("viewer")
    account.connection()
    account.typed(_done(A), 1)
    account.saved(1)
    assert ledger.faults


def test_an_editor_must_not_be_refused_or_reset():
    for by in ("was_refused", "was_reset"):
        ledger, account = _ledger()
        getattr(account, by)({"reason": "role_required"})
        assert ledger.faults
        ledger, account = _ledger("viewer")
        ledger.roles.set(1, "text", "editor")
        getattr(account, by)({"reason": "role_required"})
        assert not ledger.faults


def test_what_was_typed_into_a_cell_that_others_delete_may_go():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done(inserted="") | {"inserted": [("cell", A)], "added": ["cell"]}, 1)
    account.saved(1)
    assert _wrong(ledger, "")
    account.typed(_done() | {"gone": ["cell"]}, 2)
    account.saved(2)
    assert not _wrong(ledger, "")
    assert all(edit.fate is Fate.ACKNOWLEDGED for edit in ledger.edits["text"])


def test_a_cell_that_the_server_named_anew_may_go_under_its_old_name():
    ledger, account = _ledger()
    account.connection()
    account.typed(_done() | {"inserted": [("cell", B)], "added": ["cell"]}, 1)
    account.typed(_done() | {"inserted": [("named by the server", A)]}, 2)
    account.saved(2)
    assert _wrong(ledger, B)
    account.typed(_done() | {"gone": ["other"], "added": ["other"]}, 3)
    account.saved(3)
    assert not _wrong(ledger, B)
    assert _wrong(ledger, A)


def test_a_seed_always_gives_the_same_plan():
    plan = generate(7, 120)
    assert plan == generate(7, 120)
    assert plan != generate(8, 120)
    assert len(plan.steps) == 120
    assert plan_of(json.loads(json.dumps(plan.to_json()))) == plan


def test_each_followed_character_is_typed_once_in_a_plan():
    for seed in range(20):
        plan = generate(seed, 200)
        edits = [edit for step in plan.steps for edit in step.get("edits", [step])]
        texts = [edit.get("text", "") for edit in edits]
        texts += [edit["content"]["source"] for edit in edits if "content" in edit]
        texts += [plan.text, *(cell["source"] for cell in plan.cells)]
        followed = list(filter(is_followed, "".join(texts)))
        assert len(followed) > 100
        assert len(followed) == len(set(followed))


def test_plans_have_everything_in_them():
    ops = {
        edit["op"]
        for seed in range(30)
        for step in generate(seed, 80).steps
        for edit in step.get("edits", [step])
    }
    assert ops == {
        *("insert", "type", "delete", "move", "paste", "undo", "join", "leave", "role", "disk"),
        *("rename", "vanish", "return"),
        *("add_cell", "delete_cell", "move_cell", "sync", "lock", "unlock", "break"),
        *("stop", "kill", "start"),
    }
