"""Every table, in one place.

Queries live in the rooms that own the nouns; the shape of the data lives here, so that the
migrations have one thing to follow.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from jupyter_collab_ai.storage.columns import BigCounter, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ROLES = "role IN ('owner', 'editor', 'viewer')"

# ---------------------------------------------------------------- where all of it is

#: To which folder all paths in here are relative: one row, from the first start on.
root = Table(
    "root",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    #: The folder's real path, or what the administrator calls it.
    Column("name", Text, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
)

# ---------------------------------------------------------------- identity

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    #: Case-folded; unique whatever the case in which it was typed.
    Column("username", String(64), nullable=False, unique=True),
    Column("display_name", String(128), nullable=False),
    Column("email", String(254)),
    Column("color", String(16), nullable=False),
    #: An argon2id string; null for accounts that sign in by other means.
    Column("password_hash", Text),
    Column("is_admin", Boolean, nullable=False, server_default=text("false")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    #: Whether somebody started a server on this database as this account.
    Column("starts_server", Boolean, nullable=False, server_default=text("false")),
    #: Where the account comes from another identity provider: which one, and what it calls it.
    Column("issuer", String(255)),
    Column("subject", String(255)),
    #: Counts up when every login of the user has to end.
    Column("token_version", Integer, nullable=False, server_default=text("1")),
    Column("created_at", UtcDateTime, nullable=False),
    # An index, not a constraint: SQLite can add it without making the table anew.
    Index("uq_users_issuer_subject", "issuer", "subject", unique=True),
)

#: Names of deleted accounts, whose files may still be there.
former_usernames = Table(
    "former_usernames",
    metadata,
    Column("username", String(64), primary_key=True),
    Column("deleted_at", UtcDateTime, nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    #: ``password`` or ``token`` (the holder of Jupyter's token).
    Column("method", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("revoked_at", UtcDateTime),
    Column("address", String(64)),
    Column("user_agent", String(256)),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    #: SHA-256 of the token, in hexadecimal. The token itself is never stored.
    Column("hash", String(64), primary_key=True),
    Column("login_id", ForeignKey("logins.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime),
)

#: What a person has to confirm, or has confirmed, until it is done.
confirmations = Table(
    "confirmations",
    metadata,
    #: SHA-256 of the id, in hexadecimal: what the id is bound to can't be told without it.
    Column("hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("login_id", ForeignKey("logins.id", ondelete="CASCADE"), nullable=False),
    #: HMAC-SHA-256 of the request, by the id; the request may hold passwords.
    Column("digest", String(64), nullable=False),
    #: What the page says, as JSON.
    Column("action", JSON, nullable=False),
    #: SHA-256 of what the form of the page that was shown last has to send.
    Column("nonce_hash", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    #: Seconds since the epoch by the database's own clock.
    Column("expires_at", Float(53), nullable=False, index=True),
    Column("confirmed_at", UtcDateTime),
)

# ---------------------------------------------------------------- sessions

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(256), nullable=False),
    #: Canonical, relative to the server's root.
    Column("path", String(1024), nullable=False, unique=True),
    Column("type", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("type IN ('file', 'directory', 'notebook')", name="type"),
)

members = Table(
    "members",
    metadata,
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    CheckConstraint(_ROLES, name="role"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    #: SHA-256 of the secret, in hexadecimal.
    Column("secret_hash", String(64), nullable=False, unique=True),
    #: Where set, only the account of this name may accept.
    Column("username", String(64)),
    Column("email", String(254)),
    Column("created_by", ForeignKey("users.id", ondelete="SET NULL")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False, server_default=text("0")),
    Column("revoked_at", UtcDateTime),
    CheckConstraint(_ROLES, name="role"),
)

activity = Table(
    "activity",
    metadata,
    Column("id", BigCounter, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    #: Kept when the session or the account is gone: an audit has to outlive what it is about.
    Column("session_id", String(32), index=True),
    Column("actor_id", String(32)),
    Column("actor", String(64)),
    Column("action", String(64), nullable=False),
    Column("target", String(256)),
    Column("detail", JSON),
    Column("address", String(64)),
)

# ---------------------------------------------------------------- live documents

documents = Table(
    "documents",
    metadata,
    Column("id", String(32), primary_key=True),
    #: Canonical, relative to the server's root; follows renames. A fork's is below that of the
    #: document of which it is one, where no file can be, and so follows it.
    Column("path", String(1024), nullable=False, unique=True),
    #: ``text`` or ``json``, and ``file`` or ``notebook``: one format and type a document.
    Column("format", String(16), nullable=False),
    Column("type", String(32), nullable=False),
    #: Names one history of the document; changes when that history is given up.
    Column("epoch", String(32), nullable=False),
    #: The number of the newest update in the log.
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    #: What the file held when it was last loaded or saved (SHA-256), and the update up to
    #: which the file then held the document.
    Column("saved_hash", String(64)),
    Column("saved_seq", BigInteger, nullable=False, server_default=text("0")),
    #: Set while the file is being written: the update up to which it will hold the document.
    #: Found at start, it means that the writing may have been cut off.
    Column("saving_seq", BigInteger),
    #: The newest fencing token given out for this document; it only ever rises.
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

#: Documents that have no file of their own: what people write there may go into another one.
forks = Table(
    "forks",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    #: The document of which it is a fork, and whose roles hold for it.
    Column("root_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("title", String(256), nullable=False),
    Column("description", Text, nullable=False),
    #: Whether it takes over what is recorded in the other one.
    Column("synchronize", Boolean, nullable=False),
    Column("user_id", String(32), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

document_updates = Table(
    "document_updates",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    #: ``client``, ``load``, ``disk``, ``ai``, ``server``, ``restore`` or ``merge``.
    Column("origin", String(16), nullable=False),
    Column("user_id", String(32)),
    Column("created_at", UtcDateTime, nullable=False),
)

document_snapshots = Table(
    "document_snapshots",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    #: The state after this update, as one Yjs update.
    Column("seq", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

#: What each row of the log that was compacted holds: a span of work, with no content.
document_spans = Table(
    "document_spans",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    #: The last update of the span, and the row of the log that holds all of it.
    Column("seq", BigInteger, primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    #: Who did how much of it, and how (see ``rooms/spans.py``); empty where nobody would see it.
    Column("parts", JSON, nullable=False),
    #: Whether it is what is left of a day.
    Column("thinned", Boolean, nullable=False, server_default=text("false")),
)

#: States of a document that somebody has named, or that were kept beside its history.
document_versions = Table(
    "document_versions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    #: The update after which the document is meant, or after which the content was kept.
    Column("seq", BigInteger, nullable=False),
    Column("name", String(256), nullable=False),
    #: For what never was the document, such as a file that lost a conflict: its content,
    #: compressed, and its SHA-256.
    Column("content", LargeBinary),
    Column("content_hash", String(64)),
    Column("origin", String(16)),
    Column("user_id", String(32)),
    Column("created_at", UtcDateTime, nullable=False),
)

#: Files that somebody else has changed, as they were when that was merged into their documents;
#: gone with the next save.
merged_files = Table(
    "merged_files",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    #: SHA-256 of the file.
    Column("hash", String(64), nullable=False),
    #: What it held, compressed.
    Column("content", LargeBinary, nullable=False),
)

document_clients = Table(
    "document_clients",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    #: Whose the Yjs client id is; null for the server's own.
    Column("user_id", String(32)),
    #: Structs from this clock on are never accepted, from anyone; null where none is barred.
    Column("barred_from", BigInteger),
)

#: Deletions that were refused, by whose they were: they have no clock that could be barred.
refused_deletions = Table(
    "refused_deletions",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    #: A Yjs delete set (version 1).
    Column("deletions", LargeBinary, nullable=False),
)

# ---------------------------------------------------------------- locks and operations

locks = Table(
    "locks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("session_id", String(32), index=True),
    #: ``document``, ``cell`` or ``range``.
    Column("scope", String(16), nullable=False),
    Column("cell_id", String(64)),
    #: Where the scope begins and ends, as encoded Yjs relative positions.
    Column("start_anchor", LargeBinary),
    Column("end_anchor", LargeBinary),
    Column("operation_id", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    #: The server process that renews it.
    Column("server_id", String(32), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    #: Seconds since the epoch by the database's own clock.
    Column("expires_at", Float(53), nullable=False),
)

operations = Table(
    "operations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("session_id", String(32), nullable=False, index=True),
    Column("document_id", String(32), index=True),
    Column("path", String(1024), nullable=False),
    Column("user_id", String(32), nullable=False, index=True),
    #: ``running``, ``done``, ``failed`` or ``cancelled``.
    Column("state", String(16), nullable=False),
    Column("request", JSON, nullable=False),
    Column("result", JSON),
    Column("reason", String(64)),
    Column("model", String(128)),
    Column("prompt_tokens", Integer, nullable=False, server_default=text("0")),
    Column("completion_tokens", Integer, nullable=False, server_default=text("0")),
    Column("cost", Float(53)),
    #: What is needed to write a kept result, or to take an applied one back, as JSON.
    Column("undo", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    #: While it runs: when it counts as dead unless its server says again that it lives. Seconds
    #: since the epoch by the database's own clock.
    Column("alive_until", Float(53)),
    Index("ix_operations_user_created", "user_id", "created_at"),
    Index("ix_operations_state", "state"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "operation_id", ForeignKey("operations.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("session_id", String(32), nullable=False),
    Column("document_id", String(32), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("applied_at", UtcDateTime),
)

#: What models were asked for. It outlives accounts, sessions and operations.
ai_usage = Table(
    "ai_usage",
    metadata,
    #: In UTC, as ``2026-01-31``.
    Column("day", String(10), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("session_id", String(32), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("operations", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    #: Null where the model has no price.
    Column("cost", Float(53)),
)

#: What is set aside of budgets for calls of a model that run now.
ai_reservations = Table(
    "ai_reservations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), nullable=False),
    Column("session_id", String(32), nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost", Float(53), nullable=False),
    #: Seconds since the epoch by the database's own clock.
    Column("expires_at", Float(53), nullable=False),
)

# ---------------------------------------------------------------- between processes

#: What has changed, for other processes on the same SQLite file; PostgreSQL has NOTIFY.
changes = Table(
    "changes",
    metadata,
    Column("id", BigCounter, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("topic", String(32), nullable=False),
    Column("key", String(256), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    sqlite_autoincrement=True,
)
