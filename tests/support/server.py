"""A real ``jupyter lab`` in a process of its own, with folders of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.processes import end, start, wait_until

#: Seconds in which a server has to answer; on two busy cores it takes five to ten.
START_TIMEOUT = 90

#: Variables of the machine that would make one test run unlike another.
_FOREIGN = ("JUPYTER", "COLLAB_AI", "OPENAI", "IPYTHON", "JPY_")


def free_port() -> int:
    """Return a loopback port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LabServer:
    """One server: its folders stay over restarts, its process does not."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        env: Mapping[str, str] | None = None,
        args: tuple[str, ...] = (),
        config: Mapping[str, object] | None = None,
        ready: str = "collab-ai/health",
    ) -> None:
        """Prepare a server that keeps everything in ``folder``.

        Args:
            folder: Where root, home, config, data and runtime folders and the log are made.
            database_url: For ``COLLAB_AI_DATABASE_URL``; without it the embedded default.
            env: More environment variables.
            args: More command line arguments.
            config: The content of its ``jupyter_server_config.json``.
            ready: The path that answers 200 once the server is of use.
        """
        self.folder = folder
        self._ready = ready
        self.root = folder / "root"
        self.log_file = folder / "server.log"
        self.token = secrets.token_hex(24)
        self.port = free_port()
        self._database_url = database_url
        self.env = dict(env or {})
        self._args = args
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("root", "home", "config", "data", "runtime"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if config is not None:
            (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config))

    @property
    def base_url(self) -> str:
        """Where it answers, with a slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def api_url(self) -> str:
        """Where this package's own calls are, with a slash at the end."""
        return f"{self.base_url}collab-ai/"

    @property
    def ws_url(self) -> str:
        """The base URL for WebSockets."""
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def log(self) -> str:
        """Everything that it has printed, over all its restarts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None, "The server is not running."
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    def _environment(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.upper().startswith(_FOREIGN)
        }
        made = {
            "HOME": str(self.folder / "home"),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "JUPYTER_TOKEN": self.token,
            "PYTHONUNBUFFERED": "1",
        }
        if self._database_url is not None:
            made["COLLAB_AI_DATABASE_URL"] = self._database_url
        return {**kept, **made, **self.env}

    def launch(self) -> None:
        """Start the process without waiting for it to answer."""
        assert not self.running, "The server is running already."
        with self.log_file.open("ab") as log:
            self._process = start(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={self.port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.root}",
                    *self._args,
                ],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> LabServer:
        """Start it and wait until it is ready, as a rule until our health check answers.

        Blocks for seconds: in a coroutine use ``await asyncio.to_thread(server.start)``.
        """
        self.launch()
        wait_until(self._answers, timeout=START_TIMEOUT, interval=0.1, what="the server to answer")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(
                f"The server ended with {self._process.returncode}:\n{self.log[-6000:]}"
            )
        try:
            with urllib.request.urlopen(f"{self.base_url}{self._ready}", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            # It answers, so it runs; a server without our extension must not pass for ours.
            raise RuntimeError(
                f"{self._ready} answered {error.code}:\n{self.log[-6000:]}"
            ) from error
        except OSError:
            return False

    def wait(self, timeout: float = 60) -> int:
        """Wait for the process to end by itself, and return its exit status."""
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End the process at once, with no chance to save anything (``kill -9``)."""
        if self._process is not None:
            end(self._process, signal.SIGKILL, timeout=10)
            self._process = None

    def stop(self) -> None:
        """Ask the process to end, as a service manager does, and wait for it."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, timeout=20)
            self._process = None

    def restart(self) -> LabServer:
        """Start again on the same folders and the same port; stops it first where it runs."""
        self.stop()
        return self.start()

    def __enter__(self) -> LabServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class ServerFactory:
    """Makes servers, and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[LabServer] = []

    def __call__(
        self,
        *,
        database_url: str | None = None,
        env: Mapping[str, str] | None = None,
        args: tuple[str, ...] = (),
        config: Mapping[str, object] | None = None,
        ready: str = "collab-ai/health",
        start: bool = True,
    ) -> LabServer:
        """Make a server and, unless told not to, start it and wait until it answers."""
        server = LabServer(
            self._folder / f"server{len(self._servers) + 1}",
            database_url=database_url,
            env=env,
            args=args,
            config=config,
            ready=ready,
        )
        self._servers.append(server)
        return server.start() if start else server

    def close(self) -> None:
        """End all servers that were made."""
        for server in self._servers:
            server.stop()
