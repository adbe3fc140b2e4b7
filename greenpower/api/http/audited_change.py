"""A change in MongoDB and its entry of the audit, for the API and the console. Needs the context of an app.

    change = AuditedChange.begin(…)                      what is going to be done
    made = create(collection, new, unaudited(change))    done, and the document holds the entry
    finish_change(database, change, made["_id"])         the entry is in SQL, and no document needs it any more

What belongs here: the two ends of that. What does not: what is kept of which object, beside the routes that change it.
"""

from __future__ import annotations

import logging

from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.mongo.client import Document
from greenpower.mongo.unaudited import UnauditedEntry, take_out
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.extensions import db

log = logging.getLogger(__name__)


def unaudited(change: AuditedChange, object_id: ObjectId | None = None) -> UnauditedEntry:
    """What the document that is changed holds until the entry is written. object_id: what the change is about, where
    that is not each document that holds it."""
    entry: UnauditedEntry = {"id": change.id, "entry": change.json()}
    if object_id is not None:
        entry["object_id"] = str(object_id)
    return entry


def finish_change(database: Database[Document], change: AuditedChange, object_id: ObjectId) -> None:
    """Write the entry of a change that is done, and commit. Raises SQLAlchemyError; the worker writes it then."""
    note_change(db.session, change, object_id)
    try:
        take_out(database, change.id)
    except PyMongoError as error:  # the worker finds that it is written
        log.warning("the entry of change %s is still in MongoDB, too: %.200s", change.id, error)
