"""To which folder the paths in a database are relative.

Sessions, roles and documents go by paths below the server's root. Under another root the same paths
are other files: roles would hold for what nobody shared, and the text of one file would be written
into another.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from pathlib import Path

from sqlalchemy import insert, select

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import root

#: The name of an embedded database, below the data folder.
FILE = "collab.db"
#: Where those of all folders but the first are.
OTHERS = "roots"

_THE_ROW = 1
#: Seconds to wait for a database that is busy.
_TIMEOUT = 10.0


def claim(tx: Tx, name: str) -> str:
    """Return the root that a database belongs to, which is ``name`` if it had none."""
    known = name_in(tx)
    if known is not None:
        return known
    tx.execute(insert(root).values(id=_THE_ROW, name=name, claimed_at=utcnow()))
    return name


def name_in(tx: Tx) -> str | None:
    """Return the root that a database belongs to; None where no server has used it yet."""
    known = tx.execute(select(root.c.name)).scalar_one_or_none()
    return None if known is None else str(known)


def first_file(data_dir: Path) -> Path:
    """Return the embedded database of whichever folder a server was started in first."""
    return data_dir / FILE


def own_file(data_dir: Path, name: str) -> Path:
    """Return the embedded database of any other folder."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return data_dir / OTHERS / digest[:16] / FILE


def known_files(data_dir: Path) -> dict[Path, str | None]:
    """Return the embedded databases that are there, each with the root that it belongs to.

    None where no server has used it yet.
    """
    found = [first_file(data_dir), *sorted((data_dir / OTHERS).glob(f"*/{FILE}"))]
    return {path: _root_of(path) for path in found if path.exists()}


def _root_of(path: Path) -> str | None:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_TIMEOUT)
    # A database that is older, or that was never used, does not have the table.
    with contextlib.closing(connection), contextlib.suppress(sqlite3.OperationalError):
        row = connection.execute("SELECT name FROM root").fetchone()
        return None if row is None else str(row[0])
    return None
