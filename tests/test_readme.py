"""The README's curl session, run as it is printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx

from tests.embedded.test_up import running
from tests.wait import wait_until

README = Path(__file__).parents[1] / "README.md"


def test_the_curl_session_works_as_printed(tmp_path: Path) -> None:
    [session] = re.findall(r"^```sh\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    home = tmp_path / "var"
    with running(home) as up:
        ready = up.line("ready")
        api = re.search(r"API (\S+)", ready)
        assert api is not None
        docs = httpx.get(f"{api[1]}docs/")
        assert docs.status_code == 200

        def answers() -> list[str] | None:
            """The three answers, once a simulated reading is among them."""
            done = subprocess.run(
                ["bash", "-eu", "-c", session], cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return [done.stdout] if '"device_id"' in done.stdout else None

        [text] = wait_until(answers, 60, every=1) or [""]
        assert '"payload": {' in text
        assert '"status": "ok"' in text
        assert up.interrupt() == 0
