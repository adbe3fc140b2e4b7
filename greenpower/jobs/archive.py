"""What RQ runs for the archive of a type: one run of bounded length."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings, load_settings
from greenpower.datatype import DataType
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import sync_client

log = logging.getLogger(__name__)

ARCHIVE_EVERY_SECONDS = 3_600
# A month that was begun is worked on to its end; a run that is killed has lost one file's work.
ARCHIVE_RUN_SECONDS = 600.0
ARCHIVE_TIMEOUT_SECONDS = 6 * 3_600


def archive_entry(datatype: DataType) -> Entry:
    """The job of a type."""
    return Entry(
        name=f"archive-{datatype.name}",
        function="greenpower.jobs.archive.move",
        args=(datatype.name,),
        every=ARCHIVE_EVERY_SECONDS,
        timeout=ARCHIVE_TIMEOUT_SECONDS,
    )


def archives(settings: Settings) -> bool:
    """Whether the job is to run."""
    return settings.archive_after_days > 0


def move(type_name: str) -> dict[str, Any]:
    """Archive what is old enough: `{outcome}`, `not_declared`, `off`, `taken` by another run, or `done` with counts.

    Raises ArchiveFileError, OSError, PyMongoError; RQ keeps the failure, and the next run goes on.
    """
    # In the job's own process, so that a worker without an archive does not load pyarrow.
    from greenpower.archive.run import run_archive
    from greenpower.mongo.archive.manifest import ManifestTakenError

    settings, datatype = load_settings(), get_registry().get(type_name)
    if datatype is None:
        return {"outcome": "not_declared"}
    if not archives(settings):
        return {"outcome": "off"}
    with sync_client(settings) as client:
        try:
            counts = run_archive(client[settings.mongo_db_name], datatype, settings, seconds=ARCHIVE_RUN_SECONDS)
        except ManifestTakenError as error:
            log.info("%s", error)
            return {"outcome": "taken"}
    return {"outcome": "done", **asdict(counts)}
