"""What may go wrong with the archive. What does not belong here: raising it. Importing this loads no pyarrow."""

from __future__ import annotations


class ArchiveFileError(Exception):
    """A file of the archive is not there, or not what the manifest says. The text is one line."""


class ArchiveChangedError(Exception):
    """A question took so long that readings may have moved meanwhile. Asking again helps. The text is one line."""
