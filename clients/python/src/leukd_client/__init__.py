"""A client of leukd: follows its results without loss, and classifies images.

For Research Use Only. Not for use in diagnostic procedures.
"""

from .classify import classify, classify_field
from .connection import DEFAULT_SERVER, Credentials, channel, stubs
from .cursor import Cursor, CursorFile, CursorStore
from .errors import CursorRefused, LeukdError, Refused, StateError
from .follow import follow, sequence_of

__all__ = [
    "DEFAULT_SERVER",
    "Credentials",
    "Cursor",
    "CursorFile",
    "CursorRefused",
    "CursorStore",
    "LeukdError",
    "Refused",
    "StateError",
    "channel",
    "classify",
    "classify_field",
    "follow",
    "sequence_of",
    "stubs",
]
