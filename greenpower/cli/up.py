"""`greenpower up`: the whole stack on one machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import click

from greenpower.broken_file import clear_place
from greenpower.cli.preloaded import COMMAND as PRELOADED
from greenpower.config import ConfigError, Settings, load_settings, run_file, setting_warnings
from greenpower.loops import watched_event_loop
from greenpower.private_files import close_to_others, private_files, sqlite_files
from greenpower.stack.broker_save import sessions_saved
from greenpower.stack.child import Child, part_child
from greenpower.stack.fork_server import IS_SUPPORTED, ForkServer
from greenpower.stack.home import env_text, generated_keys, locked, write_private
from greenpower.stack.ingest_pool import (
    NO_SESSION,
    PoolMember,
    choose_pool,
    drain_child,
    note_ids,
    noted_ids,
    pool_child,
)
from greenpower.stack.ingest_pool import addresses as member_addresses
from greenpower.stack.mosquitto import Mosquitto
from greenpower.stack.output import Output
from greenpower.stack.probe import reach
from greenpower.stack.process import run_once
from greenpower.stack.stack import (
    DEMO,
    INGEST,
    INIT,
    PORTS,
    SERVICES,
    SIMULATOR,
    Service,
    choose_parts,
    choose_ports,
    service_child,
)
from greenpower.stack.stale_processes import end_stale_processes, forget_children, mark, note_children
from greenpower.stack.supervisor import Supervisor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ME = "up"
MAX_INGEST_PROCESSES = 64


@click.command()
@click.option(
    "--simulator/--no-simulator",
    default=None,
    help="Also run simulated devices (off in production).",
)
@click.option("--demo", is_flag=True, help="Also make the demonstration, unless there were meter points already.")
@click.option(
    "--ingest",
    "count",
    type=click.IntRange(1, MAX_INGEST_PROCESSES),
    default=1,
    help="Number of ingest processes; they share the MQTT frames.",
    show_default=True,
)
def up(simulator: bool | None, demo: bool, count: int) -> None:
    """Run the whole stack on this machine.

    An embedded server is started for each of MongoDB, Redis and the MQTT broker whose address is not set. Ctrl-C stops
    everything; the data stays in GREENPOWER_HOME.
    """
    home = load_settings(of_run=False).greenpower_home
    output = Output()
    for warning in setting_warnings():
        output.say(ME, f"warning: {warning}")
    with private_files(), locked(home):
        warn = partial(output.say, ME)
        if closed := close_to_others(home, *sqlite_files(load_settings(of_run=False).sql_url)):
            warn(f"{closed} files and folders in {home} were open to other users of this machine: closed to them")
        for name in end_stale_processes(home, warn):
            output.say(ME, f"stopped {name}, left over from an earlier run that was killed")
        for line in clear_place(run_file(home)):
            warn(line)
        run_file(home).unlink(missing_ok=True)
        os.environ.update(mark(home))  # its children inherit it
        settings = choose_ports(load_settings())
        if simulator is None:
            simulator = settings.environment != "prod"
        try:
            extras = tuple(service for service, wanted in ((SIMULATOR, simulator), (DEMO, demo)) if wanted)
            asyncio.run(_run(settings, output, extras, choose_pool(settings, count)))
        finally:
            run_file(home).unlink(missing_ok=True)
            forget_children(home)
    output.say(ME, "stopped")


async def _run(settings: Settings, output: Output, extras: tuple[Service, ...], pool: tuple[PoolMember, ...]) -> None:
    """Start the stack and keep it running until a signal; a second signal kills what has not ended yet."""
    home = settings.greenpower_home
    stop = asyncio.Event()
    fork_server = ForkServer(PRELOADED) if IS_SUPPORTED else None
    async with (
        _stopped_at_end(fork_server),
        Supervisor(output.say, lambda pids: note_children(home, pids)) as supervisor,
    ):

        def on_signal() -> None:
            if stop.is_set():
                supervisor.kill()
            stop.set()

        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        starting = asyncio.create_task(_start(supervisor, fork_server, settings, output, extras, pool))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            async with watched_event_loop(ME, settings.watchdog_seconds):
                await stopping
        await stopping
        if fork_server is not None:
            fork_server.stop()  # what waits to be forked need not wait any longer
        if starting.cancel():
            await asyncio.wait({starting})
        output.say(ME, "stopping")


@asynccontextmanager
async def _stopped_at_end(fork_server: ForkServer | None) -> AsyncIterator[None]:
    """Start it at once, so that it imports what services need while the servers start."""
    if fork_server is None:
        yield
        return
    fork_server.start()
    try:
        yield
    finally:
        fork_server.stop()


async def _start(
    supervisor: Supervisor,
    fork_server: ForkServer | None,
    settings: Settings,
    output: Output,
    extras: tuple[Service, ...],
    pool: tuple[PoolMember, ...],
) -> None:
    home = settings.greenpower_home
    output.say(ME, f"starting in {home}")
    # In a thread: it may have to download the broker, and signals must be handled meanwhile.
    parts, addresses = await asyncio.to_thread(choose_parts, settings, lambda text: output.say(ME, f"warning: {text}"))
    warn = partial(output.say, ME)
    keys = {name: key for name, key in generated_keys(home, warn).items() if not _given(settings, name)}
    ports = {name: str(getattr(settings, name.lower())) for name, _, _ in PORTS}
    environment = {**ports, **addresses, **keys, "GREENPOWER_HOME": str(home.resolve())}
    if len(pool) > 1:
        environment["INGEST_ADDRESSES"] = member_addresses(settings, pool)
    settings = settings.model_copy(update=_typed(settings, environment))

    await supervisor.start(*(part_child(part) for part in parts))
    await _init(service_child(INIT, settings, environment, fork_server), output)
    write_private(run_file(home), env_text(environment))
    retired = noted_ids(home, warn) - {member.client_id for member in pool}
    note_ids(home, retired | {member.client_id for member in pool})
    await supervisor.start(
        *(pool_child(member, settings, environment, fork_server, shared=len(pool) > 1) for member in pool),
        *(service_child(service, settings, environment, fork_server) for service in SERVICES if service is not INGEST),
    )
    for part in parts:
        if isinstance(part, Mosquitto):
            of_broker = partial(_pid, supervisor, part.name)
            await sessions_saved(part, of_broker, {member.client_id for member in pool})
    if SIMULATOR in extras:
        await supervisor.start(service_child(SIMULATOR, settings, environment, fork_server))
    for line in _ready_lines(settings, generated="ADMIN_PASSWORD" in keys):
        output.plain(line)
    await _drain(retired, settings, environment, output)
    if DEMO in extras:
        await run_once(service_child(DEMO, settings, environment, fork_server), output.say)  # says what went wrong
    # What is started again later imports what it needs by itself; until then this would only take memory.
    if fork_server is not None:
        fork_server.stop()


async def _drain(retired: set[str], settings: Settings, environment: dict[str, str], output: Output) -> None:
    """Store the frames that wait for ingest processes of an earlier run; a failure is tried again at the next start."""
    for client_id in sorted(retired):
        if await run_once(drain_child(client_id, settings, environment), output.say) in (os.EX_OK, NO_SESSION):
            note_ids(settings.greenpower_home, noted_ids(settings.greenpower_home) - {client_id})


async def _init(init: Child, output: Output) -> None:
    """Set up the databases before anything reads them: migrations, the first administrator, indexes."""
    code = await run_once(init, output.say)
    if code != os.EX_OK:
        raise ConfigError(
            f"the databases could not be set up: `greenpower init` failed with exit code {code}, see above. "
            "Nothing was changed where one cannot be read: restore a backup, see docs/operations.md"
        )


def _pid(supervisor: Supervisor, name: str) -> int | None:
    return supervisor.pids.get(name)


def _given(settings: Settings, name: str) -> bool:
    return bool(getattr(settings, name.lower()).get_secret_value())


def _typed(settings: Settings, environment: dict[str, str]) -> dict[str, object]:
    """The values of `environment` in the types of the settings, by attribute name."""
    by_name = {name.lower(): value for name, value in environment.items()}
    validated = Settings.model_validate({**settings.model_dump(), **by_name})
    return {name: getattr(validated, name) for name in by_name}


def _ready_lines(settings: Settings, *, generated: bool) -> list[str]:
    api = f"http://{reach(settings.api_host)}:{settings.api_port}/api"
    tcp = reach(settings.tcp_host)
    addresses = {
        "API": f"{api}/",
        "docs": f"{api}/docs/",
        "dashboard": api.removesuffix("api"),
        "realtime": f"http://{reach(settings.api_host)}:{settings.realtime_port}/",
        "MQTT": f"{settings.mqtt_broker}:{settings.mqtt_port}",
        "TCP": f"{tcp}:{settings.tcp_port}",
        "lines": f"{tcp}:{settings.tcp_lines_port}" if _given(settings, "TCP_LINES_TOKEN") else "",
        "ingest": f"http://{reach(settings.ingest_http_host)}:{settings.ingest_http_port}/health",
    }
    lines = ["ready  " + "  ".join(f"{what} {where}" for what, where in addresses.items() if where)]
    if generated:
        password = settings.admin_password.get_secret_value()
        lines.append(f"login  {settings.admin_username}  password {password}  (generated at the first start)")
    return lines
