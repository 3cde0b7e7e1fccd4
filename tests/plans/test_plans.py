"""A few random plans each time, many now and then; ``python -m tests.plans`` plays as many as
one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plans.generate import generate
from tests.plans.keep import save
from tests.plans.play import play
from tests.plans.world import World


async def _play(seed: int, steps: int, world: World, kept: Path) -> None:
    plan = generate(seed, steps)
    wrong = await play(plan, world)
    if wrong:
        saved = save(plan, wrong, kept, world.name)
        pytest.fail("\n".join([*wrong, f"The plan is saved as {saved}"]), pytrace=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [0])
async def test_a_short_plan(seed: int, world: World, tmp_path: Path) -> None:
    await _play(seed, 45, world, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_a_long_plan(seed: int, world: World, tmp_path: Path) -> None:
    await _play(seed, 150, world, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["forgets", "believes", "doubles"])
def test_a_server_that_has_a_fault_is_found_out(fault: str, tmp_path: Path) -> None:
    """Plans that find nothing prove something only if they would."""
    from tests.plans.__main__ import attempt

    (tmp_path / "sitecustomize.py").write_text(_FAULTS[fault])
    with World.made("sqlite", env={"PYTHONPATH": str(tmp_path)}) as world:
        for seed in range(5):
            if attempt(generate(seed, 80), world):
                return
    pytest.fail("Five plans did not find it.")


_FAULTS = {
    # Acknowledges and shows now and then what it did not record.
    "forgets": """
from jupyter_collab_ai.rooms import log
from jupyter_collab_ai.rooms.recorder import Recorder
append = Recorder.append
counted = 0
async def forget(self, expected, entries, records=(), fence=None):
    global counted
    counted += 1
    if counted % 10 == 0:
        empty = log.Entry(bytes(2), log.Origin.CLIENT)
        entries = [empty for _ in entries]
    await append(self, expected, entries, records, fence)
Recorder.append = forget
""",
    # Lets viewers write.
    "believes": """
from jupyter_collab_ai.rooms import gate
gate._Case.judge_viewer = gate._Case.judge_editor
""",
    # Writes what the file holds into the document again after each restart.
    "doubles": """
from jupyter_collab_ai.rooms import content, projection
start = projection.Projection.start
async def twice(self, disk):
    await start(self, disk)
    if disk is not None and self._room.seq > 3:
        data = content.first_update(self._room.kind, disk.content, self._room.path, None)
        await self._room.add(data, origin=projection.Origin.DISK)
projection.Projection.start = twice
""",
}
