"""Every way in which the package fails."""

from __future__ import annotations

from typing import Any

import grpc


class LeukdError(Exception):
    """The base of this package's errors."""


class StateError(LeukdError):
    """The cursor's file cannot be read or written, or another follower holds it."""


class Refused(LeukdError):
    """The daemon refused a call. `code` is gRPC's, `reason` the stable word or empty."""

    def __init__(self, code: Any, message: str, reason: str) -> None:
        word = f" ({reason})" if reason else ""
        super().__init__(f"{getattr(code, 'name', code)}{word}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class CursorRefused(Refused):
    """The journal does not know the cursor's sequence: it has lost events that you know."""


# What a client branches on; docs/clients/integrator.md has them all.
_REASONS = ("WRONG_EPOCH", "FUTURE_CURSOR", "IMAGE_TOO_LARGE")


def reason_of(error: Any) -> str:
    """ErrorInfo.reason, where it is one that a client branches on.

    The details are a google.rpc.Status; its ErrorInfo holds the word as it is written here, so
    that no further package is needed to find it.
    """
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for word in _REASONS:
                if word.encode() in value:
                    return word
    return ""


def refused(error: Any) -> Refused:
    """The error of a call that gRPC reported as failed."""
    reason = reason_of(error)
    kind = CursorRefused if reason == "FUTURE_CURSOR" else Refused
    return kind(error.code(), error.details() or "", reason)


# The call may work when it is tried again.
PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
