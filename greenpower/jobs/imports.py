"""The import job: files that were uploaded. It runs when one came, and each minute for what a killed run has left.

What belongs here: the entry and its connections. What does not: the import (`greenpower.importing.upload`).
"""

from __future__ import annotations

from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.importing.upload import UPLOAD_JOB, UPLOAD_JOB_SECONDS, import_uploads
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import UPLOADS
from greenpower.sql.session import sql_session

UPLOADS_EVERY_SECONDS = 60


def imports_entry() -> Entry:
    """The job, each minute."""
    return Entry(name="imports", function=UPLOAD_JOB, args=(), every=UPLOADS_EVERY_SECONDS, timeout=UPLOAD_JOB_SECONDS)


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run goes on with the file."""
    settings = load_settings()
    with (
        sync_client(settings, appname="greenpower-worker") as client,
        sql_session(settings) as session,
    ):
        uploads = client[settings.mongo_db_name][UPLOADS]
        return f"{import_uploads(session, uploads, get_registry(), settings)} begun"
