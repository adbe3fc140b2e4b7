"""Three faults in a row, in a stack that has to heal alone: every frame that the broker took is accounted for.

What a killed broker took since its last save is nowhere but in ingest. What ingest holds is in its spool, and in
MongoDB as soon as that is back.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.faults import Meters, check_answers, struck
from tests.hostile.others import Others
from tests.process import freeze
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROUNDS = 3


def test_mongod_recovers_while_broker_and_ingest_are_killed(tmp_path: Path) -> None:
    """Each round: frames flow, mongod is killed, and before it answers again the broker and then ingest are killed."""
    with struck(tmp_path / "home") as (stack, db), Meters(stack.broker, db) as meters, Others(stack.base) as others:
        for number in range(ROUNDS):
            others.go_on(3)
            meters.wait_until_taken()
            before = stack.process("mongod").pid
            stack.kill("mongod")
            wait_until(lambda before=before: stack.process("mongod").pid != before)  # type: ignore[misc]
            recovering = stack.process("mongod")
            freeze(recovering.pid)  # it has much to recover
            others.go_on(2 + number)
            stack.kill("broker")
            others.go_on(2 + number)
            stack.kill("ingest")
            others.go_on(2)
            recovering.resume()
            wait_until(lambda: stack.answers() and all(stack.process(name) for name in ("broker", "ingest")), 60)
        meters.check()
        check_answers(others)


def test_a_broker_that_is_killed_once_the_stack_is_ready_keeps_what_comes_for_ingest(tmp_path: Path) -> None:
    """Its first save by itself would be ten seconds after its start."""
    with struck(tmp_path / "home") as (stack, db):
        stack.kill("broker")
        stack.kill("ingest")
        with Meters(stack.broker, db) as meters:
            meters.wait_until_taken()
            meters.check()
