"""The read model's tables, and opening them.

Every table of the chain holds rows that are only ever added, each tagged with its event's block and log index: what is
true now is an artefact's latest row, and a reorganisation deletes the rows above the fork. Tables of the store
(``records`` and what is taken from it, ``documents``) are keyed by digest, so no reorganisation touches them. Plain SQL
types throughout: SQLite serves by default, PostgreSQL when a node shares its index.

The index is only a cache: a file that is broken or of another schema version is thrown away and made anew.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from proml.adapters.sqlite_file import private_file
from proml.errors import ConfigError, LocalStorageError, ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 2
REGISTRATION_RULE = -1

metadata = sql.MetaData()


class IndexBroken(ConfigError):
    """The index's file is damaged; :func:`proml.index.follow.follow` makes it anew."""


def _word(name: str, **options: Any) -> Column[bytes]:
    return Column(name, LargeBinary(32), nullable=False, **options)


def _address(name: str, **options: Any) -> Column[str]:
    return Column(name, String(42), nullable=False, **options)


def _number(name: str, **options: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **options)


class _Unsigned(TypeDecorator[int]):
    """Numbers of up to 64 bits without a sign, which databases' own types have no room for; in order as numbers are."""

    impl = LargeBinary(8)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: object) -> bytes | None:  # noqa: ARG002 - SQLAlchemy's
        """Returns the number as 8 bytes, big-endian."""
        return None if value is None else value.to_bytes(8, "big")

    def process_result_value(self, value: bytes | None, dialect: object) -> int | None:  # noqa: ARG002 - as above
        """Returns the number."""
        return None if value is None else int.from_bytes(value, "big")


def _event_table(name: str, *columns: Any) -> Table:
    return Table(
        name,
        metadata,
        Column("block_number", BigInteger, primary_key=True, autoincrement=False),
        Column("log_index", Integer, primary_key=True, autoincrement=False),
        _word("transaction_hash"),
        *columns,
    )


meta = Table(
    "meta",
    metadata,
    Column("schema", Integer, primary_key=True, autoincrement=False),
    _number("chain_id"),
    _word("genesis_hash"),
    _address("contract"),
    _number("next_block"),
    _number("finalized"),
    _number("followed_at"),
)
blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _word("hash"),
    _number("timestamp"),
    # Nothing of the workspace is in it: kept only until it is final, so that a reorganisation is seen.
    Column("bare", Boolean, nullable=False),
)
Index("bare_blocks", blocks.c.number, sqlite_where=blocks.c.bare, postgresql_where=blocks.c.bare)
registrations = _event_table(
    "registrations",
    _word("artefact", index=True),
    _number("lifecycle"),
    _address("owner"),
    _address("key"),
    _word("record", index=True),
    _word("head"),
)
# A registration has a row here too (seq 0), so that an artefact's history and present are one table's matter.
transitions = _event_table(
    "transitions",
    _word("artefact"),
    _number("lifecycle"),
    _address("actor", index=True),
    _address("key"),
    Column("rule", Integer, nullable=False),
    Column("from_state", Integer, nullable=False),
    Column("to_state", Integer, nullable=False),
    _number("seq"),
    Column("content", LargeBinary(32), nullable=True, index=True),
    _word("record", index=True),
    _word("previous_head"),
    _word("head", index=True),
    _word("inputs_commitment"),
    _word("votes_commitment"),
    _number("version"),
    sql.Index("transitions_of_artefact", "artefact", "seq"),
    sql.Index("transitions_to_state", "lifecycle", "to_state"),
)
inputs = _event_table(
    "inputs",
    _word("artefact"),
    _number("seq"),
    _number("version"),
    _number("position"),
    _address("workspace"),
    _word("input", index=True),
    _word("input_head", index=True),
    sql.Index("inputs_of_version", "artefact", "version"),
)
votes = _event_table(
    "votes",
    _word("artefact"),
    _word("ballot", index=True),
    _address("actor"),
    _address("key"),
    _number("organisation"),
    _word("expected_head", index=True),
    Column("rule", Integer, nullable=False),
    _word("content"),
    _word("inputs_commitment"),
    _word("record", index=True),
    Column("approve", Boolean, nullable=False),
    _word("commitment"),
)
anchors = _event_table(
    "anchors",
    _address("actor", index=True),
    _word("root", index=True),
    _address("key"),
    Column("leaves", _Unsigned(), nullable=False),
    _word("head"),
)
members = _event_table("members", _address("account", index=True), _number("organisation"), _number("roles"))
quorums = _event_table("quorums", _number("quorum"))
sessions = _event_table(
    "sessions",
    _address("member"),
    _address("key", index=True),
    _number("roles"),
    _word("artefact"),
    _number("expires"),
    Column("revoked", Boolean, nullable=False),
)
lifecycles = _event_table(
    "lifecycles", _number("number"), _word("definition"), Column("onchain", LargeBinary, nullable=False)
)
proposals = _event_table(
    "proposals",
    _word("proposal", index=True),
    _address("admin"),
    _number("organisation"),
    Column("action", Integer, nullable=False),
    _word("salt"),
    Column("data", LargeBinary, nullable=False),
    Column("executed", Boolean, nullable=False),
)
recoveries = _event_table("recoveries", _word("artefact", index=True), _address("previous"), _address("owner"))

EVENT_TABLES = (
    registrations,
    transitions,
    inputs,
    votes,
    anchors,
    members,
    quorums,
    sessions,
    lifecycles,
    proposals,
    recoveries,
)

# state: available, missing (no store has it), damaged (the stored bytes have another digest), invalid (not a record).
# about: id of the artefact that the record names; zero if it names none.
records = Table(
    "records",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("state", String(16), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("type", String(16), nullable=False),
    Column("created", String(40), nullable=False),
    _word("about"),
    Column("run", Text, nullable=False, index=True),
    _number("tried_at"),
)
documents = Table(
    "documents",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("body", Text, nullable=False),
)
names = Table(
    "names",
    metadata,
    Column("artefact", LargeBinary(32), primary_key=True),
    Column("name", Text, nullable=False, index=True),
)


def _record_table(name: str, *columns: Any) -> Table:
    return Table(
        name,
        metadata,
        Column("record", LargeBinary(32), primary_key=True),
        Column("name", Text, primary_key=True),
        *columns,
    )


parameters = _record_table(
    "parameters", Column("value", Text, nullable=False), Column("number", Float), sql.Index("parameter_name", "name")
)
metrics = _record_table(
    "metrics", Column("last", Float), Column("min", Float), Column("max", Float), sql.Index("metric_name", "name")
)
packages = _record_table("packages", Column("version", Text, nullable=False), sql.Index("package_name", "name"))
resources = _record_table("resources", Column("digest", Text, nullable=False, index=True))


def open_index(url: str) -> Engine:
    """Opens the index, and makes an empty one if there is none, it is broken, or its schema is of another version.

    Args:
        url: Path of a SQLite file, or an SQLAlchemy URL (``postgresql+psycopg://…``).

    Raises:
        LocalStorageError: The file cannot be made, read or written.
    """
    engine = _sqlite(Path(url)) if "://" not in url else sql.create_engine(url)
    try:
        _prepare(engine)
    except IndexBroken:
        throw_away(engine)
    return engine


def throw_away(engine: Engine) -> None:
    """Makes the index anew and empty, whatever state it is in."""
    engine.dispose()
    if engine.dialect.name == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            with _storage_errors(engine):
                Path(f"{engine.url.database}{suffix}").unlink(missing_ok=True)
        _create_file(Path(str(engine.url.database)))
        _prepare(engine)
        return
    with writing(engine) as connection:
        _drop_all(connection)
        metadata.create_all(connection)


def _prepare(engine: Engine) -> None:
    with writing(engine) as connection:
        tables = set(sql.inspect(connection).get_table_names())
        if "meta" in tables and _schema_version(connection) == SCHEMA_VERSION:
            return
        _drop_all(connection)
        metadata.create_all(connection)


def _schema_version(connection: Connection) -> int | None:
    # An index that was made but never followed has no row yet: told by its columns, it is as good as new.
    known = {column["name"] for column in sql.inspect(connection).get_columns("meta")}
    if known != {column.name for column in meta.columns}:
        return None
    found = connection.execute(sql.select(meta.c.schema)).scalar()
    return SCHEMA_VERSION if found is None else int(found)


def _drop_all(connection: Connection) -> None:
    present = sql.MetaData()
    present.reflect(connection, only=lambda name, _: name in metadata.tables)
    present.drop_all(connection)


def _sqlite(path: Path) -> Engine:
    _create_file(path)
    engine = sql.create_engine(sql.URL.create("sqlite", database=str(path)), connect_args={"timeout": 60})

    @sql.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, see _begin
        connection.execute("PRAGMA synchronous = NORMAL")

    @sql.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create_file(path: Path) -> None:
    """Makes the file readable by its owner only: it tells the names of artefacts, which are confidential."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with private_file(path):
            pass
    except OSError as error:
        raise LocalStorageError(
            f"the index {path} cannot be written: {error.strerror}",
            hint="Check the folder's permissions and free space.",
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Opens a connection that sees one state of the index throughout."""
    with _storage_errors(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Opens a connection in a transaction that excludes other writers, and commits at the end."""
    with _storage_errors(engine), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def _storage_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except ProMLError:
        raise
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error)
        where = engine.url.render_as_string(hide_password=True)
        if isinstance(error, DatabaseError) and ("not a database" in reason or "malformed" in reason):
            raise IndexBroken(
                f"the index {where} is damaged: {reason}", hint="Run 'proml sync --rebuild'; nothing is lost by that."
            ) from error
        if any(sign in reason for sign in ("no such table", "no such column", "does not exist")):
            raise IndexBroken(
                f"the index {where} is of another version: {reason}",
                hint="Run 'proml sync --rebuild'; nothing is lost by that.",
            ) from error
        raise LocalStorageError(
            f"the index {where} cannot be used: {reason}",
            hint="Check free space and permissions, and that no other program holds it.",
        ) from error
