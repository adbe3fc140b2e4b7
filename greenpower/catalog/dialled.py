"""Devices that we connect to, from the site file to claims of their data types.

What belongs here: which device is asked as what, and contradictions among them. What does not: the file's shape
(`greenpower.catalog.site`), the connections (`greenpower.ingest.sources.dialled`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from greenpower.catalog.site import Site
from greenpower.datatype import DataType, DeclarationError, Dialled
from greenpower.framing.polled import polled_device

Place = tuple[str, str, dict[str, Any]]


def with_dialled(datatypes: tuple[DataType, ...], site: Site, problems: list[str]) -> tuple[DataType, ...]:
    """The data types with a claim for each device that the site file has us dial. Adds to the problems."""
    by_name = {datatype.name: datatype for datatype in datatypes}
    claims: dict[str, list[Dialled]] = {}
    taken: dict[tuple[str, str], str] = {}
    addresses: dict[str, str] = {}
    for place, name, given in (*_modbus(site), *_telegrams(site)):
        try:
            claim = _claim(by_name, name, given)
        except DeclarationError as error:
            problems.append(f"{place}: {error}")
            continue
        if claim.device and (other := taken.setdefault((name, claim.device), place)) != place:
            problems.append(f"{place}: {other} has the device {claim.device!r} already")
        # Telegrams do not say to whom they belong: what comes from there is of one device.
        how = claim.framing if claim.protocol == "modbus" else place
        if addresses.setdefault(claim.address, how) != how:
            problems.append(f"{place}: {claim.address} is dialled already, in another way")
        claims.setdefault(name, []).append(claim)
    return tuple(
        replace(datatype, match=(*(claim for claim in datatype.match if not _is_open(claim)), *claims[datatype.name]))
        if datatype.name in claims
        else datatype
        for datatype in datatypes
    )


def _claim(by_name: dict[str, DataType], name: str, given: dict[str, Any]) -> Dialled:
    """The claim for one device. Raises DeclarationError."""
    if name not in by_name:
        raise DeclarationError(f"unknown data type {name!r}; choose from {', '.join(by_name)}")
    datatype, claim = by_name[name], Dialled(**given)
    if claim.protocol == "modbus":
        polled_device(datatype.parse, claim)
    elif not any(isinstance(item, Dialled) and item.protocol == claim.protocol for item in datatype.match):
        raise DeclarationError(f"{name} does not read {claim.protocol}")
    return claim


def _is_open(claim: object) -> bool:
    return isinstance(claim, Dialled) and not claim.host


def _modbus(site: Site) -> Iterator[Place]:
    for number, host in enumerate(site.modbus):
        common = host.model_dump(exclude={"devices"})
        for index, device in enumerate(host.devices):
            given = {**common, "protocol": "modbus", "device": device.device, "unit": device.unit}
            if device.every is not None:
                given["every"] = device.every
            yield f"modbus.{number}.devices.{index}", device.type, given


def _telegrams(site: Site) -> Iterator[Place]:
    for number, item in enumerate(site.telegrams):
        yield f"telegrams.{number}", item.type, {**item.model_dump(exclude={"type"}), "protocol": "telegrams"}
