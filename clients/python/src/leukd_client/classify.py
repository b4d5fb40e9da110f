"""Sends images to the daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc

from .connection import DEFAULT_SERVER, Credentials, channel
from .errors import PASSING, LeukdError, reason_of, refused
from .v1 import classifier_pb2, classifier_pb2_grpc, result_pb2

_Answer = TypeVar("_Answer")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0


def _image(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LeukdError(f"cannot read {os.fspath(path)}: {error.strerror}") from error


def _call(
    server: str,
    credentials: Credentials | None,
    limit: float,
    call: Callable[[Any, float], _Answer],
) -> _Answer:
    """Makes a call that may be repeated, until it is answered or the time is over."""
    until = time.monotonic() + limit
    pause = _FIRST_PAUSE
    with channel(server, credentials) as of:
        while True:
            left = until - time.monotonic()
            try:
                return call(classifier_pb2_grpc.ClassifierStub(of), max(left, 0.001))
            except grpc.RpcError as error:
                for_good = error.code() not in PASSING or reason_of(error) == "IMAGE_TOO_LARGE"
                if for_good or left <= pause:
                    raise refused(error) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def classify(
    path: str | os.PathLike[str],
    server: str = DEFAULT_SERVER,
    *,
    specimen: str = "",
    slide: str = "",
    cell: str = "",
    request_id: str = "",
    credentials: Credentials | None = None,
    timeout: float = 60.0,
) -> result_pb2.Result:
    """The result of one segmented cell. It is stored before it is returned.

    The same bytes with the same ids give the stored result again, so a broken connection is tried
    again until `timeout` seconds are over.
    """
    request = classifier_pb2.ClassifyRequest(
        image=_image(path), specimen=specimen, slide=slide, cell=cell, request_id=request_id
    )

    def call(stub: Any, left: float) -> result_pb2.Result:
        answer: classifier_pb2.ClassifyResponse = stub.Classify(request, timeout=left)
        return answer.result

    return _call(server, credentials, timeout, call)


def classify_field(
    path: str | os.PathLike[str],
    server: str = DEFAULT_SERVER,
    *,
    specimen: str = "",
    slide: str = "",
    cell: str = "",
    request_id: str = "",
    micrometres_per_pixel: float | None = None,
    credentials: Credentials | None = None,
    timeout: float = 120.0,
) -> classifier_pb2.ClassifyFieldResponse:
    """The results of all white cells in a field of view, and the event that closes it."""
    request = classifier_pb2.ClassifyFieldRequest(
        image=_image(path), specimen=specimen, slide=slide, cell=cell, request_id=request_id
    )
    if micrometres_per_pixel is not None:
        request.micrometres_per_pixel = micrometres_per_pixel

    def call(stub: Any, left: float) -> classifier_pb2.ClassifyFieldResponse:
        answer: classifier_pb2.ClassifyFieldResponse = stub.ClassifyField(request, timeout=left)
        return answer

    return _call(server, credentials, timeout, call)
