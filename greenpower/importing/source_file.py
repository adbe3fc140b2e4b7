"""Opening a file: which format it has, gzip, its text, how far it is read.

What belongs here: bytes and text. What does not: rows (`csv_rows`, `json_rows`, `parquet_rows`).
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, get_args

from greenpower.importing.file_error import ImportFileError

FileFormat = Literal["csv", "ndjson", "parquet"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
#: a longer line is no row
MAX_LINE_CHARACTERS = 1_000_000
SNIFFED_BYTES = 4_096


class SourceFile:
    """A file to import. file: at its begin, and seekable. max_bytes: how much of it is read once it is unpacked; 0: no
    limit. Raises ImportFileError where it is empty."""

    def __init__(self, file: BinaryIO, *, max_bytes: int = 0) -> None:
        self._raw = file
        self._max_bytes = max_bytes
        self.size = file.seek(0, io.SEEK_END)
        head = self._begin()
        self.is_packed = head.startswith(GZIP_MAGIC)
        if not head:
            raise ImportFileError("the file is empty")

    @property
    def position(self) -> int:
        """How many bytes of the file are read, packed as they are."""
        return 0 if self._raw.closed else self._raw.tell()

    def _begin(self) -> bytes:
        self._raw.seek(0)
        head = self._raw.read(SNIFFED_BYTES)
        self._raw.seek(0)
        return head

    def guess(self) -> FileFormat:
        """The format, by the first bytes. Raises ImportFileError."""
        with self.opened() as file:
            head = file.read(SNIFFED_BYTES)
        if head.startswith(PARQUET_MAGIC):
            return "parquet"
        return "ndjson" if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{") else "csv"

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked. Errors of unpacking and of text become ImportFileError; what was read until then
        stands."""
        self._begin()
        unpacked = gzip.GzipFile(fileobj=self._raw) if self.is_packed else None
        reader = io.BufferedReader(_Limited(unpacked or self._raw, self._max_bytes), 64 * 1024)
        try:
            yield reader
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImportFileError(f"the gzip file is damaged or cut off: {error}") from None
        finally:
            reader.detach()
            if unpacked is not None:
                unpacked.close()

    @contextmanager
    def seekable(self) -> Iterator[BinaryIO]:
        """The file itself, not unpacked. It stays open whoever closes it."""
        self._begin()
        yield _Kept(self._raw)  # type: ignore[misc]

    @contextmanager
    def text(self, encoding: str) -> Iterator[Iterator[str]]:
        """Its lines, with their ends. Raises ImportFileError, as `opened`."""
        with self.opened() as file:
            text = io.TextIOWrapper(file, encoding=encoding, newline="")
            try:
                yield _lines(text)
            except UnicodeDecodeError as error:
                raise ImportFileError(
                    f"the text is not {encoding.removesuffix('-sig')}: {error.reason} at byte "
                    f"{error.object[error.start] if isinstance(error.object, bytes) else 0:#04x}; give its encoding"
                ) from None
            finally:
                text.detach()


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise ImportFileError(f"line {number} is longer than {MAX_LINE_CHARACTERS} characters")
        yield line


class _Kept(io.RawIOBase):
    """A file that is read by a library that closes it."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Limited(io.RawIOBase):
    """The bytes of another file, up to a limit."""

    def __init__(self, inner: BinaryIO | gzip.GzipFile, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self._read += len(data)
        if 0 < self._max_bytes < self._read:
            raise ImportFileError(f"unpacked, the file has more than {self._max_bytes} bytes: split it")
        buffer[: len(data)] = data
        return len(data)
