"""That something was not delivered. What does not belong here: what follows from it (`run`)."""

from __future__ import annotations


class DeliveryError(Exception):
    """The receiver did not take it, or could not be reached. The text names no part of the address, and nothing that
    the receiver sent but its status: those who see it need not be those who may read what is there."""
