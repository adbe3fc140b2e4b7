"""The job that checks the wiring of all devices once a day, on their last 24 hours."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.energy.site import read_site
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import sync_client
from greenpower.sql.session import sql_session

CHECK_EVERY_SECONDS = 86_400
#: how long a run may take, and after how long RQ ends it
CHECK_RUN_SECONDS = 3_600.0
CHECK_TIMEOUT_SECONDS = 2 * 3_600


def wiring_entry() -> Entry:
    """The job, once a day."""
    return Entry(
        name="wiring",
        function="greenpower.jobs.wiring.check",
        args=(),
        every=CHECK_EVERY_SECONDS,
        timeout=CHECK_TIMEOUT_SECONDS,
    )


def check() -> dict[str, Any]:
    """What RQ runs. Raises the errors of the databases; the next run does what this one did not."""
    # In the job's own process, so that a worker between two runs does not keep the checks in memory.
    from greenpower.wiring.run import CheckedSite, run_checks

    settings, registry = load_settings(), get_registry()
    with sql_session(settings) as session:
        energy = read_site(session)
        session.rollback()
    with sync_client(settings) as client:
        site = CheckedSite(db=client[settings.mongo_db_name], registry=registry, settings=settings, energy=energy)
        return asdict(run_checks(site, datetime.now(UTC), CHECK_RUN_SECONDS))
