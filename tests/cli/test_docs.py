"""The commands of ``docs/administration.md`` do what the page says, one after the other."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from jupyter_collab_ai.identity import keys
from jupyter_collab_ai.identity.starter import ensure_starter
from jupyter_collab_ai.storage.database import Database
from tests.cli.terminal import environment, run, run_at_terminal

PAGE = Path(__file__).parents[2] / "docs" / "administration.md"
PASSWORD = "an unusual password"
TYPED = [("New password: ", PASSWORD), ("The same again: ", PASSWORD)]


def examples() -> list[tuple[str, str]]:
    """Return each example of the page, and what it shows."""
    text = PAGE.read_text(encoding="utf-8")
    pairs = re.findall(r"```bash\n(.*?)```\n```text\n(.*?)```\n", text, re.S)
    assert len(pairs) == text.count("```bash") == text.count("```text")
    return pairs


def pattern_of(output: str) -> str:
    """Return what matches an output, in which ``…`` stands for anything on its line."""
    lines = (re.escape(line).replace("…", ".+") for line in output.splitlines())
    return "".join(rf"{line}[ ]*\n" for line in lines)


async def test_the_examples_do_what_the_page_says(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    # As after the first start of a server by the one who is at the terminal now.
    await database.write(lambda tx: ensure_starter(tx, "maria"))
    keys.load(tmp_path / "collab-ai" / "keys.json")
    env = {
        **environment(tmp_path, database_url),
        "LOGNAME": "maria",
        "GRACES_PASSWORD": PASSWORD,
    }
    for code, output in examples():
        done = await asyncio.to_thread(run_at_terminal, ["bash", "-c", code], env, TYPED)
        assert re.fullmatch(pattern_of(output), done.out), f"{code}\n{done.out}"


def test_the_page_names_every_command(tmp_path: Path) -> None:
    def offered(*subject: str) -> set[str]:
        shown = run(["jupyter", "collab-ai", *subject, "--help"], environment(tmp_path)).out
        return set(re.findall(r"^    ([a-z-]+)(?:  |$)", shown, re.M))

    shown_on_page = "".join(code for code, _ in examples())
    assert offered() == {"user", "keys", "audit"}
    assert "jupyter collab-ai audit" in shown_on_page
    assert len(offered("user")) >= 7
    for subject in ("user", "keys"):
        on_page = set(re.findall(rf"jupyter collab-ai {subject} ([a-z-]+)", shown_on_page))
        assert offered(subject) == on_page


def test_another_output_is_seen() -> None:
    assert re.fullmatch(pattern_of("a  …\n"), "a  1\n")
    assert not re.fullmatch(pattern_of("a  …\n"), "b  1\n")
    assert not re.fullmatch(pattern_of("a  …\n"), "a  1\nb\n")
