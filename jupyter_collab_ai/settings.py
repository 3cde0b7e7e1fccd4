"""What an administrator can set by environment variables. The only place that reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

#: Where the embedded database and the signing keys live, below Jupyter's data folder.
DATA_FOLDER = "collab-ai"


@dataclass(frozen=True)
class Settings:
    """The environment, read once at start. Secrets stay out of its repr."""

    #: None for an embedded database, one for each root.
    database_url: str | None = field(repr=False)
    data_dir: Path
    secret_key: str | None = field(default=None, repr=False)
    #: Those that were the secret key before, the newest first.
    old_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    openai_api_key: str | None = field(default=None, repr=False)
    openai_base_url: str | None = None
    model: str | None = None

    @property
    def key_file(self) -> Path:
        """Where the keys are that sign logins, unless a secret key is set."""
        return self.data_dir / "keys.json"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; what is not set gets the value that needs no set-up.

    The data folder is made if it does not exist, for its owner alone.
    """

    def get(name: str) -> str | None:
        return environment.get(name, "").strip() or None

    data_dir = Path(get("COLLAB_AI_DATA_DIR") or Path(jupyter_data_dir()) / DATA_FOLDER)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Settings(
        database_url=get("COLLAB_AI_DATABASE_URL"),
        data_dir=data_dir,
        secret_key=get("COLLAB_AI_SECRET_KEY"),
        old_secret_keys=tuple((get("COLLAB_AI_OLD_SECRET_KEYS") or "").split()),
        openai_api_key=get("OPENAI_API_KEY"),
        openai_base_url=get("OPENAI_BASE_URL"),
        model=get("COLLAB_AI_MODEL"),
    )
