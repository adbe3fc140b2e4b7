"""Entries of the audit that a process did not write before it ended, or that SQL did not take: the worker writes them.

The documents that were changed hold them (`greenpower.mongo.unaudited`). An entry that its process writes meanwhile is
written once all the same. What does not belong here: what is done every minute besides (`device_sync`).
"""

from __future__ import annotations

import logging
from datetime import datetime

from pymongo.database import Database
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from greenpower.mongo.client import Document
from greenpower.mongo.unaudited import take_out, unaudited_entries
from greenpower.sql.audit import AuditedChange, note_change

log = logging.getLogger(__name__)


def write_missing_entries(session: Session, db: Database[Document], until: datetime) -> int:
    """Write the entries that documents hold of changes until a time, and commit. Returns how many.

    It may be repeated, and several may run at once. A change that several documents hold has one entry. One that SQL
    does not take stays, with a line in the log, and holds up no other. Raises PyMongoError.
    """
    held = {entry["id"]: (about, entry["entry"]) for about, entry in unaudited_entries(db)}
    written = 0
    for change_id, (about, text) in held.items():
        change = AuditedChange.read(change_id, text)
        if change.values["at"] > until:
            continue
        try:
            note_change(session, change, about)
        except SQLAlchemyError:
            session.rollback()
            continue
        take_out(db, change_id)
        written += 1
    if written:
        log.info("%d entries of the audit that were still to be written are there", written)
    return written
