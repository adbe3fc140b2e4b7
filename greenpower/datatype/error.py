"""The two errors of the plugin API."""


class DeclarationError(ValueError):
    """A declaration is not valid. The text names the part, its value and the reason."""


class FrameError(Exception):
    """A frame is no reading. It is recorded as rejected, and counted under its reason.

    reason: a short code, lower case with hyphens; each parser has a fixed set (it becomes a metric label).
    detail: what is wrong, for people; at most 200 characters, and always storable.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail[:200].encode("utf-8", "backslashreplace").decode()
