"""Looking at timelines leaves the memory of a server where it was.

Upstream replays the history for each look and keeps what comes of it for good: 60 looks of a
reader took 45 MiB.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from tests.attack.test_handshakes import gauge, memory
from tests.blackbox.client import Api
from tests.support.server import LabServer, ServerFactory

#: Characters of the document; each look takes several times as many.
SIZE = 400_000
LOOKS = 60
#: Kibibytes that an allocator may keep: far below what 60 copies take.
SLACK = 24 * 1024


def test_sixty_looks_leave_memory_where_it_was(
    collab_server: ServerFactory, record_testsuite_property: Callable[[str, object], None]
) -> None:
    server: LabServer = collab_server(args=("--CollabAI.room_idle_seconds=1",))
    api = Api(server)
    ada, eve = api.register("ada"), api.register("eve")
    session = ada.share(content="".join(f"line {number:>8}\n" for number in range(SIZE // 14)))
    ada.add(session, eve, "viewer")
    path = f"api/collaboration/timeline/{quote(session['path'])}?format=text&type=file"

    def look(times: int) -> list[str]:
        answers = [eve.jupyter("GET", path) for _ in range(times)]
        assert {answer.status for answer in answers} == {200}
        return [answer.json["forkRoom"] for answer in answers]

    # What is made once for all is made before it is measured.
    look(10)
    rooms = gauge(api, "collab_ai_rooms")
    before = memory(server)
    made = look(LOOKS)
    grown = (memory(server) - before) / 1024
    record_testsuite_property(f"{LOOKS} looks at a timeline", f"{grown:+.1f} MiB")
    print(f"\n{LOOKS} looks at a timeline: {grown:+.1f} MiB")
    assert len(set(made)) == LOOKS
    assert gauge(api, "collab_ai_rooms") <= rooms
    assert grown * 1024 < SLACK
