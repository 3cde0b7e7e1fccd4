"""A fresh JupyterLab in a folder of its own, which can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import urllib.request
from pathlib import Path

from .console import WalkthroughFailed

#: Seconds in which the server has to answer; on a busy machine it takes ten.
PATIENCE = 90


class Server:
    """One ``jupyter lab``: its folders stay over restarts, its process does not."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        """Prepare a server in ``folder``, on the embedded database or on ``database_url``."""
        self.folder = folder
        self.root = folder / "root"
        self.token = secrets.token_hex(24)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        #: Variables for the next start, such as ``OPENAI_BASE_URL``.
        self.env: dict[str, str] = {}
        self._database_url = database_url
        self._process: asyncio.subprocess.Process | None = None
        for name in ("root", "config", "data", "runtime"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Where it answers, with a slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Start it, and wait until it is well.

        Raises:
            WalkthroughFailed: It ended, or was not well in time.
        """
        foreign = ("JUPYTER", "COLLAB_AI", "OPENAI", "JPY_")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        env |= {
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "JUPYTER_TOKEN": self.token,
            **self.env,
        }
        if self._database_url is not None:
            env["COLLAB_AI_DATABASE_URL"] = self._database_url
        with (self.folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                f"--ServerApp.port={self.port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={self.root}",
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _ in range(PATIENCE * 10):
            if self._process.returncode is not None:
                raise WalkthroughFailed(f"The server ended:\n{self._log_tail()}")
            if await asyncio.to_thread(self._is_well):
                return
            await asyncio.sleep(0.1)
        raise WalkthroughFailed(f"The server did not answer:\n{self._log_tail()}")

    def _is_well(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}collab-ai/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _log_tail(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]

    async def kill(self) -> None:
        """End it with no chance to save anything."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, and wait for that."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
