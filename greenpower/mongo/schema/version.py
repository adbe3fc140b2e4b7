"""The version of the database's documents, and whether a program may use them.

What belongs here: the one document that carries the version, and the check that every process makes when it starts.
What does not: the steps from one version to the next (`greenpower.mongo.schema.steps`), running them
(`greenpower.mongo.schema.migrate`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict, cast

import pymongo
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.processes.mark import refuse_while_restoring
from greenpower.mongo.schema.compression import make_compressed
from greenpower.mongo.schema.layout import NOT_DATA, SCHEMA, STAGED
from greenpower.mongo.schema.steps import KNOWN_VERSION, OLDEST_READABLE, STEPS, UNVERSIONED, Step

log = logging.getLogger(__name__)

SCHEMA_ID = "schema"
# A process that cannot ask in this time starts without the answer: it serves nothing from a database that is away.
START_CHECK_SECONDS = 2.0


class MigrationLock(TypedDict):
    """Who migrates. owner: unique, of one run. until: by the server's clock; after that the lock is free."""

    owner: str
    host: str
    until: datetime


class StepProgress(TypedDict):
    """How far the step under way is. version: what the database has after it. position: where the next piece begins,
    None at the start. changed: documents so far."""

    version: int
    position: Any
    changed: int


class AppliedStep(TypedDict):
    """A step that came to its end."""

    version: int
    changed: int
    at: datetime


class SchemaDocument(TypedDict):
    """The document of `schema`, written by `greenpower.mongo.schema.migrate` alone.

    version: of the documents. oldest_reader: programs that know this version or a later one may use the database; it
    rises before the first document is rewritten. steps: those applied, in order. step, lock: while one is migrating.
    """

    _id: str
    version: int
    oldest_reader: int
    steps: list[AppliedStep]
    updated_at: datetime
    step: NotRequired[StepProgress]
    lock: NotRequired[MigrationLock]


def read_schema(db: Database[Document]) -> SchemaDocument | None:
    """The document, None where the database has none. Raises PyMongoError."""
    return cast("SchemaDocument | None", db[SCHEMA].find_one({"_id": SCHEMA_ID}))


def adopt(db: Database[Document], steps: Sequence[Step] = STEPS) -> SchemaDocument:
    """The document, made where there is none: a database with data is `UNVERSIONED`, an empty one is of the newest
    version at once. Several processes may call it at once; the first to write wins. Raises PyMongoError.
    """
    found = read_schema(db)
    while found is None:
        version = oldest = UNVERSIONED
        if not has_data(db, (name for name in db.list_collection_names() if name != SCHEMA)):
            version = max((step.version for step in steps), default=UNVERSIONED)
            oldest = max((step.oldest_reader for step in steps), default=UNVERSIONED)
        make_compressed(db, SCHEMA)
        made: Document = {"_id": SCHEMA_ID, "version": version, "oldest_reader": oldest, "steps": []}
        try:
            db[SCHEMA].insert_one({**made, "updated_at": datetime.now(UTC)})
        except DuplicateKeyError:
            log.debug("another process wrote the version first")
        found = read_schema(db)
    return found


def has_data(db: Database[Document], collections: Iterable[str]) -> bool:
    """Whether any of these collections has a document that is data. Raises PyMongoError."""
    data = (name for name in collections if not name.startswith(("system.", STAGED)) and name not in NOT_DATA)
    return any(db[name].find_one({}, {"_id": 1}) is not None for name in data)


def check_version(db: Database[Document], known: int = KNOWN_VERSION, oldest: int = OLDEST_READABLE) -> None:
    """Raise ConfigError unless a program that knows the versions from `oldest` to `known` may use the database.

    A database without a version is `UNVERSIONED`, or empty. No program may use it during a restore. Raises
    PyMongoError.
    """
    refuse_while_restoring(db)
    found = read_schema(db)
    if found is None:
        return
    if known < found["oldest_reader"]:
        raise ConfigError(
            f"the database {db.name} needs a program that knows its schema version {found['oldest_reader']}, this one "
            f"knows {known}: install the release that migrated it, or restore a backup of this one's"
        )
    if found["version"] < oldest:
        raise ConfigError(
            f"the database {db.name} has schema version {found['version']}, this program reads {oldest} to {known}: "
            "run `greenpower migrate`"
        )


def check_at_start(settings: Settings, *, quiet: bool = False) -> None:
    """`check_version` for a process that starts. Where MongoDB is away or not set, that is reported elsewhere.

    quiet: without a warning, where the caller needs MongoDB next and says what is wrong.
    """
    if not settings.mongo_db_uri.get_secret_value():
        return
    try:
        with pymongo.timeout(START_CHECK_SECONDS), sync_client(settings) as client:
            check_version(client[settings.mongo_db_name])
    except PyMongoError as error:
        level = logging.DEBUG if quiet else logging.WARNING
        log.log(level, "the schema version cannot be read: %s: %.200s", type(error).__name__, error)
