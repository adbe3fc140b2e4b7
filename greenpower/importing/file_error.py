"""What is wrong with a file as a whole. What does not belong here: what is wrong with a row (`refusal`)."""

from __future__ import annotations


class ImportFileError(Exception):
    """A file, its mapping or its header cannot be used, or the file breaks off. The text has a line per problem."""
