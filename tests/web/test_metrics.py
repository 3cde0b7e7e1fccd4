"""Metrics: bounded in what they can say, and documented."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.gate import RefusalReason, ResetReason
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.metrics import Endpoint, Transport

ROOT = Path(__file__).parents[2]


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_is_refused_is_counted_by_transport_and_reason() -> None:
    before = value("collab_ai_refusals_total", transport="http", reason="not_found")
    metrics.refused(Transport.HTTP, "not_found")
    metrics.refused_with(Transport.HTTP, 404)
    after = value("collab_ai_refusals_total", transport="http", reason="not_found")
    assert after == before + 2


def test_no_client_can_make_a_label() -> None:
    for reason in ("x" * 1000, "../../etc/passwd", ""):
        metrics.refused(Transport.MESSAGE, reason)
    metrics.refused_with(Transport.HTTP, 418)
    for family in REGISTRY.collect():
        if family.name != "collab_ai_refusals":
            continue
        assert len(family.samples) <= 2 * len(Transport) * len(metrics.REASONS)
        assert {sample.labels["reason"] for sample in family.samples} <= metrics.REASONS


def test_every_reason_of_the_rooms_is_known() -> None:
    words = {each.value for each in (*RefusalReason, *ResetReason)}
    assert words | {"malformed", "too_large"} == metrics.MESSAGE_REASONS


def test_a_batch_of_updates_is_counted_and_timed() -> None:
    made = dict.fromkeys(Origin, 0.0)
    for origin in Origin:
        made[origin] = value("collab_ai_updates_recorded_total", origin=origin.value)
    batches = value("collab_ai_log_append_seconds_count")
    metrics.recorded([origin.value for origin in Origin], 0.01)
    for origin in Origin:
        now = value("collab_ai_updates_recorded_total", origin=origin.value)
        assert now == made[origin] + 1
    assert value("collab_ai_log_append_seconds_count") == batches + 1


def test_gauges_go_up_and_down() -> None:
    rooms = value("collab_ai_rooms")
    metrics.room_opened()
    assert value("collab_ai_rooms") == rooms + 1
    metrics.room_closed()
    assert value("collab_ai_rooms") == rooms
    unsaved = value("collab_ai_unsaved_documents")
    metrics.save_failed()
    assert value("collab_ai_unsaved_documents") == unsaved + 1
    metrics.save_mended()
    assert value("collab_ai_unsaved_documents") == unsaved
    for endpoint in Endpoint:
        before = value("collab_ai_connections", endpoint=endpoint.value)
        metrics.connected(endpoint)
        assert value("collab_ai_connections", endpoint=endpoint.value) == before + 1
        metrics.disconnected(endpoint)
        assert value("collab_ai_connections", endpoint=endpoint.value) == before


def test_every_metric_and_label_is_documented() -> None:
    page = (ROOT / "docs" / "administration.md").read_text()
    source = Path(metrics.__file__).read_text()
    names = re.findall(r"\"(collab_ai_\w+)\"", source)
    assert len(names) == 7
    for name in names:
        assert f"`{name}" in page, name
    for word in (*Transport, *Endpoint):
        assert f"`{word.value}`" in page, word
    for ending in Ending:
        assert f"`{ending.name.lower()}`" in page, ending
