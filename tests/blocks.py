"""The command blocks in the documentation: found, and run in order, in a shell that knows what was exported before.

`python -m tests.blocks` counts them: how many are run, and which are not, with the reason.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)
REASON = re.compile(r"<!-- not run: ((?:(?!-->).)+) -->\n\Z", re.DOTALL)
COMMAND = re.compile(
    r"^(\$ |make |greenpower |pip |npm |cd |curl |docker |mosquitto_(pub|sub) |git |python3? |export )", re.MULTILINE
)
#: this one goes on running
UP = "make up\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. line: where it begins. reason: why it is not run, empty where it is."""

    page: Path
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it says that it is commands."""
        return self.language == "sh"


def pages() -> list[Path]:
    """All pages, the README first."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    return sorted(found, key=lambda path: (path != ROOT / "README.md", path))


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order. A comment `not run: …` in the line before one says why it is not run."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        reason = REASON.search(text, 0, found.start())
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"].strip(),
            text=found["text"],
            reason=" ".join(reason[1].split()) if reason else "",
        )


def commands(page: Path) -> list[Block]:
    """The blocks of a page that are to be run."""
    return [block for block in blocks(page) if block.is_shell and not block.reason]


@dataclass(slots=True)
class Shell:
    """Runs blocks in a folder, as somebody who types them in."""

    folder: Path
    env: Mapping[str, str]
    _state: Path = field(init=False)

    def __post_init__(self) -> None:
        self._state = self.folder / ".exported"
        self._state.write_text("")

    def run(self, block: Block, seconds: float = 100) -> str:
        """What a block prints. Raises AssertionError where one of its commands fails."""
        script = f". {self._state}\ncd {self.folder}\n{block.text}\nexport -p > {self._state}\n"
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.folder, env=dict(self.env), capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
        assert done.returncode == 0, f"{block} ends with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def main() -> None:
    """Print the count."""
    shell = [block for page in pages() for block in blocks(page) if block.is_shell]
    left = [block for block in shell if block.reason]
    print(f"{len(shell)} command blocks, {len(shell) - len(left)} of them run by a test, {len(left)} not:")
    for block in left:
        print(f"{block}: {block.reason}")


if __name__ == "__main__":
    main()
