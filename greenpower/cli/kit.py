"""`greenpower plugins new`, `check` and `try`: for people who write plugins."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
import orjson

from greenpower.api.http.json import encode
from greenpower.catalog.facts import resource_path
from greenpower.catalog.registry import PLUGINS_PACKAGE, RegistryError, discover
from greenpower.catalog.selection import ALL
from greenpower.cli.time_option import TimeOption
from greenpower.config import load_settings
from greenpower.datatype import DeclarationError
from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.steps.clock import ClockRule
from greenpower.kit.contract import RULES, problems
from greenpower.kit.outcome import outcomes
from greenpower.kit.plugin import Plugin, RecordedSample, find_plugin, plugins_of, read_frame
from greenpower.kit.problem import PluginError, shown
from greenpower.kit.rules.imports import python_lines
from greenpower.kit.rules.rate import parse_rate
from greenpower.kit.scaffold import ScaffoldPlan, make_files, write_files
from greenpower.kit.trial import FrameTrial, default_topic, statistics_of, try_frames
from greenpower.mongo.client import Document


@click.command()
@click.argument("name")
@click.option("--mqtt", "topic", metavar="TOPIC", help="MQTT topic; `+` stands for the device id. Default: NAME/data.")
@click.option(
    "--tcp",
    "registration",
    metavar="REGISTRATION",
    help="Registration packet of its TCP gateways; # stands for a digit.",
)
@click.option(
    "--package", type=click.Path(path_type=Path), metavar="DIR",
    help="Create an installable package in this folder. Default: a folder in plugins/.",
)  # fmt: skip
def new(name: str, topic: str | None, registration: str | None, package: Path | None) -> None:
    """Create a working plugin: declaration, sample, README, test."""
    if topic and registration:
        raise click.UsageError("--mqtt and --tcp cannot be combined")
    plan = ScaffoldPlan(
        name=name, topic="" if registration else topic or f"{name}/data", registration=registration or "",
        package=package,
    )  # fmt: skip
    try:
        files = make_files(plan, discover(plugins=ALL))
        placed = {_place(path, plan): text for path, text in files.items()}
        write_files(placed)
    except (PluginError, DeclarationError, RegistryError) as error:
        raise click.ClickException(str(error)) from None
    for path in placed:
        click.echo(shown(path))
    if package is not None:
        click.echo(f"\nInstall it: pip install -e {package}")
    click.echo(f"\nNext: greenpower plugins check {name}")


def _place(path: Path, plan: ScaffoldPlan) -> Path:
    """The path of a new file: in the package, in `plugins/`, or for a test in `tests/plugins/`."""
    if plan.package is not None:
        return (plan.package / path).absolute()
    try:
        plugins = Path(import_module(PLUGINS_PACKAGE).__path__[0])
    except ModuleNotFoundError:
        raise PluginError(f"there is no folder {PLUGINS_PACKAGE}/ here: use --package DIR") from None
    return plugins.parent / "tests" / "plugins" / path.name if path.parts[0] == "tests" else plugins / path


@click.command()
@click.argument("name", required=False)
def check(name: str | None) -> None:
    """Check plugins against the rules for all plugins.

    Checks NAME, or every plugin: folders in plugins/, and installed packages with an entry point in the
    group greenpower.plugins. Exits with status 1 if a rule is broken. `pytest --greenpower` does the same with one test
    per rule.
    """
    try:
        registry = discover(plugins=ALL)
        chosen = (find_plugin(registry, name),) if name else plugins_of(registry)
    except PluginError as error:
        raise click.ClickException(str(error)) from None
    for text in () if name else registry.warnings:
        click.echo(text, err=True)
    if not all([_checked(plugin) for plugin in chosen]) or (registry.stopped and not name):
        sys.exit(1)


def _checked(plugin: Plugin) -> bool:
    broken = {rule: found for rule in RULES if (found := problems(plugin, rule))}
    rates = []
    if "samples" not in broken:
        rates = [rate for datatype in plugin.datatypes if (rate := parse_rate(plugin, datatype)) is not None]
    summary = f"{len(RULES) - len(broken)} of {len(RULES)} rules kept, {python_lines(plugin.folder)} lines of Python"
    if rates:
        summary += f", {min(rates):,.0f} frames/s parsed"
    click.echo(f"{plugin.name} ({plugin.origin}): {summary}")
    for rule, found in broken.items():
        for problem in found:
            click.echo(f"\n[{rule}] {problem}")
    if broken:
        click.echo()
    return not broken


@click.command("try")
@click.argument("name")
@click.argument("frames", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--topic", help="Topic of the frames. Default: the first topic of the plugin.")
@click.option("--received", type=TimeOption(), help="Time of arrival, ISO 8601. Default: now.")
@click.option("--keep", metavar="CASE", help="Save the frames and their result as a sample of this name.")
@click.option("--odd", metavar="WHY", default="", help="With --keep: why values in these frames are left out.")
@click.option(
    "--before",
    metavar="TOPIC FRAME",
    multiple=True,
    type=(str, click.Path(exists=True, dir_okay=False, path_type=Path)),
    help="A frame that the device sent before, such as a birth. Can be repeated.",
)
def try_frame(
    name: str,
    frames: tuple[Path, ...],
    topic: str | None,
    received: datetime | None,
    keep: str | None,
    odd: str,
    before: tuple[tuple[str, Path], ...],
) -> None:
    """Show the readings that a plugin gets from frames.

    Shows the readings, ignored values with the reason, bucket statistics and the answer of the API. Needs no servers.
    FRAMES are files; one whose name ends in .hex is hexadecimal. Exits with status 1 if a frame is rejected.
    """
    if odd and not keep:
        raise click.UsageError("--odd is for --keep CASE")
    settings = load_settings()
    try:
        plugin = find_plugin(discover(plugins=ALL), name)
        chosen = topic or default_topic(next((d for d in plugin.datatypes if d.name == name), plugin.datatypes[0]))
        payloads = [read_frame(path) for path in frames]
        at = received or datetime.now(UTC)
        earlier = [(given, read_frame(path)) for given, path in before]
        tried = try_frames(plugin, chosen, payloads, ClockRule.of(settings), at, settings.max_frame_bytes, earlier)
        _show(tried, frames)
        if keep:
            _save_sample(plugin, tried, frames, keep, odd, before)
    except PluginError as error:
        raise click.ClickException(str(error)) from None
    if any(arrival.rejected for arrival in tried.arrivals):
        sys.exit(1)


def _show(tried: FrameTrial, paths: tuple[Path, ...]) -> None:
    datatype = tried.datatype
    units = {field.name: "" if field.unit == "1" else f" {field.unit}" for field in datatype.fields}
    click.echo(f"{datatype.name}: {datatype.title}, on {tried.arrivals[0].topic}")
    for path, arrival in zip(paths, tried.arrivals, strict=True):
        click.echo(f"\n{shown(path)}")
        if arrival.rejected or arrival.noted:
            what = "rejected" if arrival.rejected else "noted"
            click.echo(f"  {what}: {arrival.rejected or arrival.noted}  {arrival.detail}".rstrip())
        for item in (item for item in tried.found if item.arrival is arrival):
            click.echo(f"  reading of {item.device_id or 'the device that another packet names'} at {_time_text(item)}")
            for field, value in item.payload.items():
                click.echo(f"    {field:<28}{value}{units.get(field, '')}")
        for field, why in (arrival.left_out or {}).items():
            click.echo(f"    {field:<28}ignored: {why}")
    for device, buckets in tried.buckets.items():
        for bucket in buckets:
            click.echo(f"\nbucket of {tried.resolution} from {bucket.start:%Y-%m-%d %H:%M} UTC, {device}")
            for field, numbers in statistics_of(bucket).items():
                numbers_text = ", ".join(f"{what} {one}" for what, one in numbers.items() if not what.endswith("_at"))
                click.echo(f"    {field:<28}{bucket.payload.get(field)}{units.get(field, '')}  ({numbers_text})")
    if datatype.endpoint is not None and tried.stored:
        click.echo(f"\nGET {resource_path(datatype)}")
        answer: Document = orjson.loads(encode(tried.answer))
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _time_text(item: FrameReading) -> str:
    """The time of a reading, and where it comes from."""
    assert item.time is not None
    time = f"{item.time:%Y-%m-%d %H:%M:%S} UTC"
    if item.clock:
        return f"{time} (time of arrival; the device clock is wrong: {item.stamp}; ingest would keep an offset)"
    return f"{time} (time of arrival; no timestamp)" if item.undated else f"{time} (timestamp {item.stamp})"


def _save_sample(
    plugin: Plugin,
    tried: FrameTrial,
    paths: tuple[Path, ...],
    case: str,
    odd: str,
    before: tuple[tuple[str, Path], ...],
) -> None:
    """Save frames and their readings as a sample, with the frames before them."""
    folder = plugin.folder / "samples" / case
    topic = tried.arrivals[0].topic
    device = dict(plugin.claimed(topic)).get(tried.datatype)
    payloads = tuple(read_frame(path) for path in paths)
    names = {
        f"before{path.suffix}" if len(before) == 1 else f"before_{number:02}{path.suffix}": (given, path)
        for number, (given, path) in enumerate(before, 1)
    }
    sample = RecordedSample(
        case=case, folder=folder, topic=topic, frames=payloads, expected=[],
        before=tuple((given, read_frame(path)) for given, path in before),
    )  # fmt: skip
    births = plugin.births_before(tried.datatype, sample)
    readings = [item for payload in payloads for item in outcomes(tried.datatype, topic, device, payload, births)]
    content: dict[str, object] = {"topic": topic, **({"odd": odd} if odd else {})}
    if names:
        content["before"] = {name: given for name, (given, _) in names.items()}
    expected = json.dumps({**content, "readings": readings}, indent=2, ensure_ascii=False) + "\n"
    if folder.exists():
        raise PluginError(f"{shown(folder)} already exists: choose another name or delete it")
    folder.mkdir(parents=True)
    for number, path in enumerate(paths, 1):
        name = f"frame{path.suffix}" if len(paths) == 1 else f"frame_{number:02}{path.suffix}"
        (folder / name).write_bytes(path.read_bytes())
    for name, (_, path) in names.items():
        (folder / name).write_bytes(path.read_bytes())
    (folder / "expected.json").write_text(expected, "utf-8")
    click.echo(f"\nsaved as {shown(folder)}")
