"""A notebook as one text: whatever people wrote comes back as it was."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from pycrdt import Array

from jupyter_collab_ai.ai.answers import Unusable, parse_cells
from jupyter_collab_ai.ai.cells import Cell, Unclear, mark, missing_in, new_key, show, split
from jupyter_collab_ai.ai.placing import (
    Mode,
    NothingToDo,
    SnapshotView,
    Target,
    changed,
    find_place,
    work_out,
)
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part
from jupyter_collab_ai.errors import ModelFailed
from tests.ai.house import AiHouse
from tests.support import fake_model as say

lines = st.sampled_from(
    ["# Title", "## Data", "#tag", "#", "# %%", "#%%time", "# %% [markdown]", "#%% x", "", "  ",
     "x = 1", "```python", "```", "~~~", "text", "# # a", "\r", "é😀", "[raw]", "\u2028", "a \t"]
)  # fmt: skip
sources = st.one_of(st.lists(lines, max_size=6).map("\n".join), st.text(max_size=20))
cells = st.lists(st.tuples(st.sampled_from(["code", "markdown", "raw"]), sources), max_size=6)
#: What lies open to no doubt in the plain percent format.
plain_lines = st.sampled_from(["# Title", "## Data", "#tag", "#%%time", "x = 1", "text", "", "  y"])
plain_sources = st.lists(plain_lines, max_size=5).map("\n".join)
plain_cells = st.lists(
    st.tuples(st.sampled_from(["code", "markdown", "raw"]), plain_sources), max_size=6
)

REPORT = [
    ("markdown", "# Report\n\n## Data\n#tag"),
    ("code", "#%%time\nx = 1"),
    ("raw", "abstract"),
    ("code", "# %% not a mark\ny = 2"),
    ("markdown", "Do:\n```python\nx\n```\nand\n```\ny\n```"),
]


def notebook(given_cells: list[tuple[str, str]]) -> DocumentSnapshot:
    parts = tuple(Part(f"c{number}", *cell) for number, cell in enumerate(given_cells))
    return DocumentSnapshot("n.ipynb", "python", parts, is_notebook=True)


@given(cells)
def test_what_is_copied_is_what_it_was(given_cells: list[tuple[str, str]]) -> None:
    key = new_key(given_cells)
    if not key:
        assert not any(source.strip() for _, source in given_cells)
        return
    shown = show(key, given_cells)
    same = [Cell(type_, source, row) for row, (type_, source) in enumerate(given_cells)]
    for text in (
        shown,
        f"{shown}\n",
        shown.rstrip(),
        shown.replace("\n# %% " + key, "\n\n# %% " + key),
    ):
        assert split(text, key, given_cells) == same
        assert missing_in(text, key, given_cells) == ""
    view = SnapshotView(notebook(given_cells), {})
    place = find_place(view, notebook(given_cells), Target(Mode.REPLACE_DOCUMENT))
    with pytest.raises(NothingToDo):
        work_out(view, place, show(place.key, place.shown), "python")


@given(cells, st.data())
def test_each_cell_is_changed_by_itself(
    given_cells: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Some are left out, some changed, some new, some moved: the others stay as they are."""
    snapshot = notebook(given_cells)
    view = SnapshotView(snapshot, {})
    place = find_place(view, snapshot, Target(Mode.REPLACE_DOCUMENT))
    if not place.key:
        return
    rows = data.draw(st.permutations(range(len(given_cells))))
    rows = rows[: data.draw(st.integers(0, len(rows)))]
    pieces: list[str] = []
    wanted: list[tuple[str, str]] = []
    for row in rows:
        type_, source = given_cells[row]
        if data.draw(st.booleans()):
            source = f"new {row}"
        pieces.append(f"{mark(place.key, str(row + 1), type_)}\n{source}")
        wanted.append((type_, source))
        if data.draw(st.booleans()):
            pieces.append(f"{mark(place.key, 'new', 'markdown')}\n# mine {row}")
            wanted.append(("markdown", f"# mine {row}"))
    if not pieces:
        return
    try:
        after = changed(snapshot, work_out(view, place, "\n".join(pieces), "python"))
    except NothingToDo:
        after = snapshot

    def told(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(type_, source.strip()) for type_, source in pairs if source.strip()]

    assert told([(part.type, part.source) for part in after.parts]) == told(wanted)
    by_id = {part.cell_id: part for part in after.parts}
    for row, (type_, source) in enumerate(given_cells):
        if not source.strip():
            assert f"c{row}" in by_id, "it may have outputs"
        if f"c{row}" in by_id and by_id[f"c{row}"].source.strip() == source.strip():
            assert by_id[f"c{row}"] == Part(f"c{row}", type_, source)


@given(plain_cells)
def test_the_percent_format_is_read_without_loss(given_cells: list[tuple[str, str]]) -> None:
    key = new_key(given_cells)
    names = {"code": "# %%", "markdown": "# %% [markdown]", "raw": "# %% [raw]"}
    text = "\n".join(f"{names[type_]}\n{source}" for type_, source in given_cells)
    made = split(text, key, given_cells)
    assert [(cell.type, cell.source.strip("\n")) for cell in made] == [
        (type_, source.strip("\n")) for type_, source in given_cells if source.strip()
    ]
    assert missing_in(text, key, given_cells) == ""


@pytest.mark.parametrize(
    ("shown", "answer", "source"),
    [
        ("# Title", "# # Other", "# Other"),
        ("# Title", "# Other", "# Other"),
        ("# Title", "# # Other\n#\n# text", "# Other\n\ntext"),
        ("# Title", "# some text\n# and more", "some text\nand more"),
        ("# Title", "# Other\n\n## Data\n#tag", "# Other\n\n## Data\n#tag"),
        ("# A\n# B", "# A\n# C", "# A\n# C"),
        ("# Title", "Text", "Text"),
    ],
)
def test_markdown_is_taken_out_of_comments_where_it_can_be_nothing_else(
    shown: str, answer: str, source: str
) -> None:
    given_cells = [("markdown", shown), ("code", "x = 1")]
    text = f"# %% [markdown]\n{answer}\n# %%\nx = 1\n"
    made = split(text, new_key(given_cells), given_cells)
    assert made == [Cell("markdown", source, 0), Cell("code", "x = 1", 1)]


def test_what_can_not_be_told_apart_is_refused() -> None:
    key = new_key(REPORT)
    with pytest.raises(Unclear):
        split("# %%\nx = 1\n", key, REPORT)
    made = split(f"{show(key, REPORT)}\n# %%\nz = 3\n", key, REPORT)
    assert len(made) == len(REPORT), "there it may be text, so it is text"
    assert made[-1].source.endswith("```\n# %%\nz = 3")
    few = REPORT[:3]
    made = split(f"{show(key, few)}\n# %%\nz = 3\n", key, few)
    assert made[-1] == Cell("code", "z = 3")


def test_what_is_gone_without_a_word_is_missed() -> None:
    few = REPORT[:3]
    key = new_key(few)
    assert "cell 1" in missing_in("x = 2\n", key, few)
    assert "cell 1" in missing_in("# %%\n#%%time\nx = 2\n", key, few)
    assert "cell 2" in missing_in(f"{mark(key, '1', 'markdown')}\nT\n{mark(key, '2')}\n", key, few)
    assert missing_in(f"{mark(key, '2')}\nx = 2\n", key, few) == "", "it was left out with its mark"
    assert missing_in("x = 2\n", new_key([("code", "x = 1")]), [("code", "x = 1")]) == ""


def test_fences_of_a_cell_do_not_end_the_answer() -> None:
    key = new_key(REPORT)
    shown = show(key, REPORT)
    for answer in (
        f"```python\n{shown}\n```",
        f"Here:\n\n```python\n{shown}\n```\nDone.",
        f"`````python\n{shown}\n`````\n",
        shown,
        f"```\r\n{shown}\n```".replace("\r\n", "\n").replace("\n", "\r\n"),
    ):
        code = parse_cells(answer, "python", key, shown)
        assert [(cell.type, cell.source) for cell in split(code.code, key, REPORT)] == REPORT
    for answer in (
        f"```python\n{shown}",
        f"```python\n{shown[: shown.index('and')]}",
        f"```python\n{shown}\n{mark(key, 'new', 'markdown')}\n```\nx\n```\n```",
        "```python\nx = 1\n```",
    ):
        with pytest.raises(Unusable):
            parse_cells(answer, "python", key, shown)


# ---------------------------------------------------------------- live


def echo(more: str) -> Any:
    """Answer with what is to be replaced, copied faithfully, and something new."""

    async def reply(chat: say.Chat) -> None:
        prompt = chat.fake.seen[-1].prompt
        found = re.search(r"What the code replaces:\n<(text-\w+)>\n(.*?)\n</\1>", prompt, re.DOTALL)
        assert found
        await say.says(f"```python\n{found[2]}\n{more}\n```")(chat)

    return reply


async def test_a_notebook_that_is_copied_keeps_all_of_its_cells(folder: AiHouse) -> None:
    output = new_output("stream", name="stdout", text="1")
    made_of = [
        new_markdown_cell("# Report\n\n## Data\n#tag", id="m1"),
        new_code_cell("#%%time\nx = 1", id="k1", outputs=[output], execution_count=3),
        new_raw_cell("abstract", id="r1", metadata={"raw_mimetype": "text/latex"}),
        new_markdown_cell("```\nx\n```", id="m2"),
        new_code_cell("", id="k2"),
    ]
    folder.write("p/n.ipynb", nbformat.writes(new_notebook(cells=made_of)))
    folder.fake.reply(echo("# %%\nprint('new')"))
    made = await folder.generate(path="n.ipynb", target=Target(Mode.REPLACE_DOCUMENT))
    assert made["applied"] is True
    assert len(made["edits"]) == 1
    client = await folder.client("ada", "p/n.ipynb")
    now = client.doc.get("cells", type=Array).to_py()
    for before, after in zip(made_of, now, strict=False):
        assert (after["id"], after["source"]) == (before["id"], before["source"])
        assert after["cell_type"] == before["cell_type"]
        assert before["metadata"].items() <= after["metadata"].items()
    assert now[1]["execution_count"] == 3
    assert now[1]["outputs"]
    assert [cell["source"] for cell in now[5:]] == ["print('new')"]


async def test_cells_that_go_without_a_word_are_only_suggested(folder: AiHouse) -> None:
    made_of = [new_markdown_cell("# Report", id="m1"), new_code_cell("x = 1", id="k1")]
    folder.write("p/n.ipynb", nbformat.writes(new_notebook(cells=made_of)))
    folder.fake.reply(say.says("```python\nx = 2\n```"))
    made = await folder.generate(path="n.ipynb", target=Target(Mode.REPLACE_DOCUMENT))
    assert len(folder.fake.seen) == 2
    assert (made["applied"], made["reason"]) == (False, "checks_failed")


async def test_an_answer_that_can_not_be_read_for_certain_changes_nothing(folder: AiHouse) -> None:
    made_of = [new_code_cell("# %% one\nx = 1", id="k1"), new_code_cell("y = 1", id="k2")]
    folder.write("p/n.ipynb", nbformat.writes(new_notebook(cells=made_of)))
    folder.fake.reply(say.says("```python\n# %%\nx = 2\n# %%\ny = 1\n```"))
    with pytest.raises(ModelFailed):
        await folder.generate(path="n.ipynb", target=Target(Mode.REPLACE_DOCUMENT))
    assert "as it was shown" in folder.fake.seen[1].body["messages"][-1]["content"]
