"""The order of modules, where it matters. A module that no list has comes after those that are in it.

Where processes share the tests, those that take longest come first, so that no process is left alone with one at the
end. Of the long tests, which CI may have no time to end, those that put most of the program to the test come first.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

LONGEST_FIRST = (
    "tests/ingest/sources/test_shared.py",
    "tests/ingest/test_catalogue_wire.py",
    "tests/rollups/test_run.py",
    "tests/importing/test_rollups.py",
    "tests/stack/test_jobs.py",
    "tests/simulator/test_stored.py",
    "tests/sql/test_init.py",
    "tests/ingest/test_repeated_hour.py",
    "tests/ingest/steps/test_repeated_hour_backlog.py",
    "tests/importing/test_run.py",
    "tests/importing/test_killed.py",
    "tests/demo/test_demo.py",
    "tests/api/telemetry/test_uploads.py",
    "tests/api/energy/test_closed_answers.py",
    "tests/api/energy/test_points_behind.py",
    "tests/api/energy/test_divisors.py",
    "tests/api/energy/test_turns.py",
    "tests/api/test_zones.py",
    "tests/alarms/test_evaluator.py",
    "tests/alarms/test_machine.py",
    "tests/alarms/test_kinds.py",
    "tests/api/alarms/test_alarms.py",
    "tests/rollups/test_holds.py",
    "tests/wiring/test_planted.py",
    "tests/wiring/test_good.py",
    "tests/ingest/sources/test_backpressure.py",
    "tests/ingest/test_promise.py",
    "tests/ingest/test_sparkplug.py",
    "tests/ingest/test_sessions.py",
    "tests/kit/test_sessions.py",
    "tests/ingest/test_stored_batch.py",
    "tests/api/energy/test_differential.py",
    "tests/rollups/test_take_over.py",
    "tests/rollups/test_backfill.py",
    "tests/backup/test_backup.py",
    "tests/ingest/steps/test_pairing.py",
    "tests/jobs/test_worker.py",
    "tests/ingest/sources/test_gateway.py",
    "tests/mongo/schema/test_migrate.py",
    "tests/rollups/test_long_silence.py",
    "tests/ingest/sources/test_mqtt.py",
    "tests/realtime/test_gateway.py",
    "tests/realtime/test_visible.py",
    "tests/mongo/test_query_plans.py",
    "tests/test_tls.py",
    "tests/mongo/schema/test_size.py",
    "tests/docker/test_nginx.py",
    "tests/dashboard/test_touch.py",
    "tests/test_example_client.py",
    "tests/api/energy/test_device_incidents.py",
    "tests/jobs/test_rollup_job.py",
    "tests/mongo/schema/test_layout.py",
    "tests/ingest/sources/test_connections.py",
    "tests/api/energy/test_consumption_kinds.py",
    "tests/api/energy/test_consumption.py",
    "tests/api/accounts/test_token.py",
    "tests/ingest/test_runner.py",
    "tests/realtime/test_feed.py",
    "tests/api/devices/test_devices.py",
    "tests/control/test_commands.py",
    "tests/api/accounts/test_users.py",
    "tests/api/telemetry/test_changes.py",
    "tests/api/http/test_server.py",
    "tests/api/system/test_audit_killed.py",
)
# The whole under faults, then what loses data, then what people see, then what is short.
SLOW_BY_REACH = (
    "tests/test_chaos.py",
    "tests/stack/test_up.py",
    "tests/rollups/test_week.py",
    "tests/rollups/test_kills.py",
    "tests/alarms/test_killed.py",
    "tests/api/energy/test_differential.py",
    "tests/test_stop.py",
    "tests/dashboard/test_page.py",
    "tests/dashboard/test_operator.py",
    "tests/dashboard/test_energy.py",
    "tests/dashboard/test_access.py",
    "tests/test_tls.py",
    "tests/framing/test_fuzz.py",
    "tests/realtime/test_ingest.py",
    "tests/ingest/test_flood.py",
    "tests/ingest/sources/test_access_list.py",
    "tests/ingest/sources/test_tls.py",
    "tests/ingest/sources/test_mqtt_held_back.py",
    "tests/backup/test_running.py",
    "tests/stack/test_hang.py",
    "tests/stack/test_stack.py",
    "tests/api/http/test_hang_up.py",
    "tests/mongo/energy/test_ledger_cost.py",
    "tests/rollups/test_run.py",
    "tests/test_blocks.py",
    "tests/docker/test_nginx.py",
)


def in_order(items: Sequence[pytest.Item], modules: Sequence[str]) -> list[pytest.Item]:
    """Items by the places of their modules; those of one module, and of no listed one, in the order they have."""
    places = {name: place for place, name in enumerate(modules)}
    return sorted(items, key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
