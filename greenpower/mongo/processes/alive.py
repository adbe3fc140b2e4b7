"""Who else uses the database now."""

from __future__ import annotations

import re
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from greenpower.mongo.client import Document
from greenpower.mongo.processes.identity import is_there
from greenpower.mongo.schema.layout import PROCESSES

# Four heartbeats: a process of another machine that has missed them is gone, or cut off from the database.
SILENT_SECONDS = 20.0


def living_processes(db: Database[Document]) -> list[str]:
    """A text for each process that uses the database, but for this client's. Raises PyMongoError.

    A process on this machine lives as long as it exists; one of another machine while its heartbeats come. Processes
    without a heartbeat, such as a job whose worker was killed, are known by their connections.
    """
    silence = {"$divide": [{"$subtract": ["$$NOW", "$seen_at"]}, 1000]}
    found = []
    for process in db[PROCESSES].aggregate([{"$addFields": {"silence": silence}}, {"$sort": {"name": 1, "pid": 1}}]):
        there = is_there(process)
        if there or (there is None and process["silence"] < SILENT_SECONDS):
            found.append(f"{process['name']} (process {process['pid']} on {process['host']})")
    return found or _connections(db)


def _connections(db: Database[Document]) -> list[str]:
    """A text for each kind of connection of other processes to this database.

    Empty where the server does not tell, as one that wants rights for it.
    """
    mine = db.client.options.pool_options.appname
    pipeline: list[dict[str, Any]] = [
        {"$currentOp": {"idleConnections": True, "allUsers": False, "localOps": True}},
        {"$match": {"appName": {"$ne": mine, "$regex": f"^greenpower[a-z-]*/{re.escape(db.name)}$"}}},
        # The server answers some of these after 10 s only, and notices only then that a client has gone.
        {"$match": {"command.hello": {"$exists": False}}},
        {"$project": {"appName": 1, "client": {"$ifNull": ["$client", ""]}}},
    ]
    try:
        rows = list(db.client.admin.aggregate(pipeline))
    except OperationFailure:
        return []
    apps = {(row["appName"].partition("/")[0], row["client"].rpartition(":")[0]) for row in rows}
    return [f"{app} connected from {host or 'this machine'}" for app, host in sorted(apps)]
