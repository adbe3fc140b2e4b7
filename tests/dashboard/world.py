"""A small stack as the page sees it: API, ingest and gateway as processes, with a past that was measured before."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pymongo import MongoClient
from pymongo.database import Database
from redis.asyncio import Redis

from greenpower.catalog.registry import load_registry
from greenpower.config import Settings
from greenpower.jobs.device_sync import sync_devices
from greenpower.jobs.presence import judge, record, tell
from greenpower.mongo.client import async_client
from greenpower.mongo.schema.layout import LISTENING, SEEN
from greenpower.sql.session import sql_session
from tests.ingest.conftest import Publisher
from tests.process import Command, environment
from tests.wait import wait_until

Document = dict[str, Any]
ZONE = "Asia/Dhaka"
METER = "33B1225950027"
PASSWORD = "correct horse"
DAYS = 8
MINUTE = timedelta(minutes=1)


def readings(now: datetime) -> tuple[list[Document], list[Document]]:
    """Eight days of a meter: power by the minute with a gap of nine hours, its register by the quarter of an hour with
    a reset in it."""
    power: list[Document] = []
    register: list[Document] = []
    start = (now - timedelta(days=DAYS)).replace(second=0, microsecond=0)
    gap, reset = start + timedelta(days=4), start + timedelta(days=2)
    counted = 1_000.0
    for number in range(DAYS * 24 * 60 - 2):
        at = start + number * MINUTE
        if gap <= at < gap + timedelta(hours=9):
            continue
        kw = round(8 + 6 * math.sin(number / 230) + (number * 7919 % 100) / 50, 2)
        counted = 0.5 if at == reset else counted + kw / 60
        base = {"device_id": METER, "timestamp": at, "received_at": at, "updated_at": at, "complete": True}
        payload = {"ua": 230 + kw / 10, "ub": 229 + kw / 10, "uc": 231.0, "ia": kw * 1.4, "zyggl": kw, "f": 50.0}
        power.append({**base, "topic": "MQTT_RT_DATA", "payload": payload})
        if at.minute % 15 == 0:
            energy = {"zygsz": round(counted, 3), "zwgsz": round(counted / 4, 3)}
            register.append({**base, "topic": "MQTT_ENY_NOW", "payload": energy})
    return power, register


class World:
    """The stack. `base` is the address of the page."""

    def __init__(self, settings: Settings, folder: Path, broker: tuple[str, int]) -> None:
        self.settings, self.folder, self.broker = settings, folder, broker
        self.base = f"http://127.0.0.1:{settings.api_port}"
        self._stack = ExitStack()
        self.realtime: Command | None = None

    def __enter__(self) -> World:
        with self._stack as stack:
            self.client = stack.enter_context(MongoClient[Document](self.settings.need("MONGO_DB_URI"), tz_aware=True))
            self.db: Database[Document] = self.client[self.settings.mongo_db_name]
            stack.callback(self.client.drop_database, self.settings.mongo_db_name)
            self.run("init")
            ingest = stack.enter_context(Command(self.settings, "ingest", "--mqtt", folder=self.folder))
            stack.enter_context(Command(self.settings, "api", folder=self.folder))
            stack.callback(self.stop_gateway)
            self.realtime = Command(self.settings, "realtime", folder=self.folder)
            power, register = readings(datetime.now(UTC))
            self.db["grid_rt_data"].insert_many(power)
            self.db["grid_eny_now_data"].insert_many(register)
            self.run("rollups", "run")
            ingest.wait_healthy(40)
            wait_until(self._gateway_answers, 40)
            self.publisher = Publisher(*self.broker)
            stack.callback(self.publisher.close)
            wait_until(self._answers, 40)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, *args: str) -> None:
        """A command to its end."""
        subprocess.run(
            [sys.executable, "-m", "greenpower", *args],
            env=environment(self.settings),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start_gateway(self) -> None:
        self.realtime = Command(self.settings, "realtime", folder=self.folder)
        wait_until(self._gateway_answers, 40)

    def stop_gateway(self) -> None:
        if self.realtime is not None:
            self.realtime.kill()
            self.realtime = None

    def publish(self, **values: Any) -> None:
        """A frame of the meter, measured now. Acknowledged, so stored, when this returns."""
        stamp = datetime.now(ZoneInfo(ZONE)).replace(microsecond=0)
        self.publisher.send("MQTT_RT_DATA", {"id": METER, "time": f"{stamp:%Y%m%d%H%M%S}", "isend": "1", **values})
        self.publisher.flush()
        self.published = stamp

    def fall_silent(self) -> None:
        """The meter was last heard a while ago, though somebody listened; and the job looks."""
        # Ingest writes down who was heard every few seconds; what it has in hand would wake the meter again.
        meter = {"_id": f"rt|{METER}", "last_reading": {"$gte": self.published}}
        wait_until(lambda: self.db[SEEN].count_documents(meter), 20)
        ago = datetime.now(UTC) - timedelta(hours=1)
        self.db[SEEN].update_many({"device_id": METER}, {"$set": {"last_heard": ago}})
        self.db[LISTENING].insert_one(
            {"sources": ["mqtt", "tcp"], "since": ago - timedelta(hours=1), "until": datetime.now(UTC)}
        )
        # In a thread: the browser's library has an event loop in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.check_presence).result(30)

    def check_presence(self) -> None:
        """What the job does each minute."""

        async def check() -> list[Any]:
            redis = Redis.from_url(self.settings.need("REDIS_URL"))
            async with async_client(self.settings) as mongo:
                judged = await judge(mongo[self.settings.mongo_db_name], load_registry(None), datetime.now(UTC))
            await tell(redis, judged)
            await redis.aclose()
            return judged

        judged = asyncio.run(check())
        with sql_session(self.settings) as session:
            sync_devices(session, self.db)
            record(session, judged)

    def register(self) -> int:
        """Let the meter be heard and the job register it; its number."""
        self.publish(zyggl=5)
        wait_until(lambda: self.db[SEEN].count_documents({"_id": f"rt|{METER}"}), 20)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.check_presence).result(30)
        (found,) = self.get("/api/devices/", device_id=METER)["results"]
        number: int = found["id"]
        return number

    def get(self, path: str, **parameters: Any) -> Document:
        """What the API answers."""
        return self.ask("GET", path, params=parameters)

    def ask(self, method: str, path: str, **options: Any) -> Document:
        """What the API answers to any request."""
        with httpx.Client(base_url=self.base, trust_env=False, timeout=20) as http:
            login = http.post("/api/users/token/", json={"username": "admin", "password": PASSWORD}).raise_for_status()
            headers = {"Authorization": f"Bearer {login.json()['access']}"}
            response = http.request(method, path, headers=headers, **options).raise_for_status()
            found: Document = response.json() if response.content else {}
        return found

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.base}/api/ready/", trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _gateway_answers(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.settings.realtime_port}/health"
            return httpx.get(address, trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
