"""The bill of a month as a program writes it that knows the API only by its generated client.

Usage: bill.py ADDRESS KEY START END ZONE FILE DEVICE... Writes a line for each meter: its id and the kWh of the month.
"""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from pathlib import Path

from green_power_client import AuthenticatedClient
from green_power_client.api.telemetry_eny_now_data import consumption_eny_now
from green_power_client.models import CalendarBucket, Consumption, EnyNowDataField


def main(address: str, key: str, start: str, end: str, zone: str, file: str, *devices: str) -> None:
    """Ask for each meter, and write the table."""
    client = AuthenticatedClient(base_url=address, token=key)
    with Path(file).open("w", newline="", encoding="utf-8") as output:
        table = csv.writer(output)
        table.writerow(["device_id", "kwh", "final"])
        for device in devices:
            found = consumption_eny_now.sync(
                client=client,
                start_time=datetime.fromisoformat(start),
                end_time=datetime.fromisoformat(end),
                bucket=CalendarBucket.MONTH,
                tz=zone,
                device_id=[device],
                field=EnyNowDataField.ZYGSZ,
            )
            if not isinstance(found, Consumption):
                raise SystemExit(f"{device}: {found}")
            table.writerow([device, found.total, found.final])


if __name__ == "__main__":
    main(*sys.argv[1:])
