"""The two errors of the plugin API."""


class DeclarationError(ValueError):
    """A declaration contradicts itself or the rules. The text says which part and why."""


class FrameError(Exception):
    """A frame is no reading. It is recorded as rejected, and counted under its reason.

    reason: a short word from a closed set per parser, lower case with hyphens (it becomes a metric label);
    detail: what exactly was wrong, for a person; made storable whatever it quotes.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail[:200].encode("utf-8", "backslashreplace").decode()
