"""Compression of answers with gzip, for callers that accept it.

What does not belong here: files that are written while they are downloaded (exports compress themselves, on request),
and files of the page, which are served with ranges.
"""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

# A shorter answer fits into one packet anyway.
MIN_COMPRESSED_BYTES = 1_000
GZIP_LEVEL = 4
GZIP = "gzip"
COMPRESSED_TYPES = ("application/json", "application/javascript", "image/svg+xml")


def init_compression(app: Flask) -> None:
    """Compress the answers of an app. Call it before what looks at their text: it runs after that."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    if not _is_compressible(response):
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.best_match((GZIP, "identity"), default="identity") != GZIP:
        return response
    response.set_data(gzip.compress(response.get_data(), GZIP_LEVEL, mtime=0))
    response.content_encoding = GZIP
    if (tag := response.get_etag()[0]) is not None:
        # The same content in other bytes.
        response.set_etag(tag, weak=True)
    return response


def _is_compressible(response: Response) -> bool:
    mimetype = response.mimetype or ""
    length = response.calculate_content_length() if response.is_sequence else None
    return (
        response.status_code != 206
        and (length or 0) >= MIN_COMPRESSED_BYTES
        and not response.direct_passthrough
        and "Content-Encoding" not in response.headers
        # Of an answer with a secret not even the length tells anything.
        and "no-store" not in response.headers.get("Cache-Control", "")
        and (mimetype.startswith("text/") or mimetype in COMPRESSED_TYPES)
    )
