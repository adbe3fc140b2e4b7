"""`greenpower devices listen`: what devices publish that nothing takes in yet, and the setting that does."""

from __future__ import annotations

import click

from greenpower.catalog.registry import get_registry, load_registry
from greenpower.catalog.selection import ALL
from greenpower.catalog.site import read_site
from greenpower.catalog.unclaimed import Unclaimed, adopted
from greenpower.config import Settings, load_settings
from greenpower.control.publish import NoBroker, visit

MAX_SHOWN_CHARACTERS = 100


@click.command()
@click.option("--topic", default="#", show_default=True, help="MQTT topic filter to listen to.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to listen.",
)
@click.option("--messages", type=click.IntRange(min=1), help="Stop after so many messages that nothing takes in.")
def listen(topic: str, seconds: float, messages: int | None) -> None:
    """Show what devices publish that no plugin in force takes in.

    Shows topics and payloads, the plugin of the catalogue that reads them, and the setting that puts it in force. The
    login at the broker (MQTT_USERNAME) must be allowed to read the topics. Nothing is stored.
    """
    settings = load_settings()
    heard = Unclaimed(get_registry(), load_registry(None, ALL))

    def take(sent: str, payload: bytes) -> bool:
        heard.hear(sent, payload)
        return messages is not None and heard.messages >= messages

    try:
        with visit(settings) as broker:
            allowed = broker.listen(topic, take, seconds)
    except NoBroker as error:
        raise click.ClickException(str(error)) from None
    if not allowed:
        raise click.ClickException(f"the broker does not let us read {topic!r}")
    _print(heard, settings)


def _print(heard: Unclaimed, settings: Settings) -> None:
    click.echo(f"{heard.messages} messages that nothing takes in, {heard.claimed} that plugins in force take in")
    for fit in heard.fits.values():
        click.echo(
            f"\n{fit.datatype.name}: {fit.datatype.title}, {fit.messages} messages on {len(fit.topics)} topics, "
            f"{fit.read} with values"
        )
        for topic, payload in fit.samples.items():
            click.echo(f"  {shown(topic)}  {shown_payload(payload)}")
    if heard.unknown:
        click.echo("\nno plugin fits (greenpower plugins new makes one):")
        for topic, payload in heard.unknown.items():
            click.echo(f"  {shown(topic)}  {shown_payload(payload)}")
        if heard.more:
            click.echo(f"  … {heard.more} messages on other topics")
    if heard.plugins:
        given = settings.greenpower_plugins
        if not given and settings.greenpower_site is not None:
            given = ",".join(read_site(settings.greenpower_site).plugins)
        click.echo(f"\nto take in what plugins fit, set\n  GREENPOWER_PLUGINS={adopted(given, heard.plugins)}")


def shown_payload(payload: bytes) -> str:
    """The begin of a payload: as text, or in hexadecimal where it is none."""
    try:
        return shown(payload.decode())
    except UnicodeDecodeError:
        return f"hex {payload[: MAX_SHOWN_CHARACTERS // 2].hex()}"


def shown(text: str) -> str:
    """The begin of a text, in one line and without control characters."""
    text = " ".join(text.split()) if text.strip() else text.strip()
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 1]}…"
