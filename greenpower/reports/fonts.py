"""Fonts of PDF reports. A PDF holds its fonts.

Fira Sans (Latin, Greek, Cyrillic) and Hind Siliguri (Bengali) come with their packages, both under the SIL Open Font
License. For other scripts fonts are looked for in the folder `fonts` of GREENPOWER_HOME, and where Debian's packages
put them, such as those of `fonts-noto-core`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Set
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

FIRA, FIRA_FILES = "fontpkg-fira-sans", "fontpkg_fira_sans/files/FiraSans-{}.ttf"
SILIGURI, SILIGURI_FILE = "fontpkg-hind-siliguri", "fontpkg_hind_siliguri/files/HindSiliguri-Regular.ttf"
SYSTEM_FONTS = Path("/usr/share/fonts/truetype")
FONT_PATTERNS = ("*.ttf", "*.otf")
# Before others, since a folder of Noto has two thousand.
PREFERRED = ("NotoSans", "Lohit", "DejaVuSans", "FreeSans")
NOT_PLAIN = ("Bold", "Italic", "Oblique", "Light", "Thin", "Black", "Condensed", "Mono")
NOT_SHOWN = "?"


def base_fonts() -> tuple[Path, Path]:
    """The files of the usual font, plain and bold. Raises FileNotFoundError."""
    return packaged(FIRA, FIRA_FILES.format("Regular")), packaged(FIRA, FIRA_FILES.format("Bold"))


def packaged(package: str, path: str) -> Path:
    """A font of an installed package, without importing it. Raises FileNotFoundError."""
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        raise FileNotFoundError(f"{package} is not installed") from None
    if not found.is_file():
        raise FileNotFoundError(found)
    return found


def missing(text: str, known: Set[int]) -> set[int]:
    """The characters of a text that a font does not have, but for blanks and what is never drawn."""
    return {
        ord(character)
        for character in text
        if ord(character) not in known and unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
    }


def characters_of(font: Path) -> frozenset[int]:
    """The characters that a font has; none where it cannot be read."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(font, lazy=True) as opened:
            return frozenset(opened.getBestCmap() or ())
    except (OSError, TTLibError):
        return frozenset()


def fonts_for(wanted: Set[int], folders: Iterable[Path]) -> Iterator[Path]:
    """Fonts that have, together, as many as possible of some characters."""
    left = set(wanted)
    for font in _candidates(folders):
        if not left:
            return
        if found := left & characters_of(font):
            left -= found
            yield font


def _candidates(folders: Iterable[Path]) -> Iterator[Path]:
    yield packaged(SILIGURI, SILIGURI_FILE)
    files = {file for folder in folders if folder.is_dir() for kind in FONT_PATTERNS for file in folder.rglob(kind)}
    yield from sorted(files, key=_rank)


def _rank(font: Path) -> tuple[bool, bool, str]:
    """Plain ones of the preferred families first."""
    return not font.stem.startswith(PREFERRED), any(word in font.stem for word in NOT_PLAIN), font.stem
