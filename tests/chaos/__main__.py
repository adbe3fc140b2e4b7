"""`python -m tests.chaos`: the long runs, by hand or at night. Prints what was killed and whether the end was right."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.chaos.rollup import Chaos


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    options = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-chaos-") as folder,
        Chaos(Path(folder), options.seed).running() as chaos,
    ):
        chaos.rounds(options.kills, lambda text: print(text, flush=True))
        chaos.settle()
        buckets = chaos.check()
    print(f"seed {options.seed}: {chaos.kills} killed, {buckets} buckets right, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
