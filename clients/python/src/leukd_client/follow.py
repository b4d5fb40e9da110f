"""Follows the journal over broken connections."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import grpc

from .connection import DEFAULT_SERVER, Credentials, channel
from .cursor import Cursor, CursorFile, CursorStore
from .errors import PASSING, reason_of, refused
from .v1 import results_pb2, results_pb2_grpc

_LOG = logging.getLogger("leukd_client")

# The wait before the first attempt to connect again; it doubles up to the second.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
# Limit on the wait for the first message.
_HELLO = 30.0


class _Watch:
    """Cancels a stream that is waited on for too long: the other side is dead."""

    def __init__(self) -> None:
        self.limit = _HELLO
        self._changed = threading.Condition()
        self._call: Any = None
        self._until: float | None = None
        self._over = False
        threading.Thread(target=self._run, name="leukd-watch", daemon=True).start()

    def wait(self, call: Any) -> Any:
        """The stream's next message; raises what the stream raises."""
        self._set(call, time.monotonic() + self.limit)
        try:
            return next(call)
        finally:
            # The consumer's own step may take as long as it likes.
            self._set(None, None)

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()

    def _set(self, call: Any, until: float | None) -> None:
        with self._changed:
            self._call, self._until = call, until
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._over:
                left = None if self._until is None else self._until - time.monotonic()
                if left is not None and left <= 0:
                    self._call.cancel()
                    self._until = left = None
                self._changed.wait(left)


def sequence_of(event: results_pb2.Event) -> int | None:
    """The event's place in the journal: what a cursor after it holds. None for a hello."""
    kind = event.WhichOneof("kind")
    if kind is None or kind == "hello":
        return None
    if kind == "gap":
        return event.gap.to
    sequence: int = getattr(event, kind).sequence
    return sequence


class _Follower:
    def __init__(self, store: CursorStore, heartbeats: bool) -> None:
        self.store = store
        self.heartbeats = heartbeats
        self.cursor = store.load()
        self.pause = _FIRST_PAUSE

    def request(self) -> results_pb2.SubscribeRequest:
        if self.cursor is None:
            return results_pb2.SubscribeRequest(earliest={})
        after = results_pb2.Cursor(epoch=self.cursor.epoch, sequence=self.cursor.sequence)
        return results_pb2.SubscribeRequest(after=after)

    def connection(self, of: Any, watch: _Watch) -> Iterator[results_pb2.Event]:
        """The events of one connection, each kept once the consumer asks for the next."""
        watch.limit = _HELLO
        call = results_pb2_grpc.ResultsStub(of).Subscribe(self.request())
        try:
            epoch = ""
            while True:
                event = watch.wait(call)
                kind = event.WhichOneof("kind")
                if kind == "hello":
                    epoch = event.hello.epoch
                    interval = event.hello.heartbeat_interval.ToTimedelta().total_seconds()
                    watch.limit = 3 * min(max(interval, 1.0), 3600.0)
                    if self.cursor is None:
                        yield event
                    continue
                sequence = sequence_of(event)
                if sequence is None:  # a kind of a later leukd: its sequence comes with the next
                    continue
                self.pause = _FIRST_PAUSE
                if kind != "heartbeat" or self.heartbeats:
                    yield event
                cursor = Cursor(epoch, sequence)
                if cursor != self.cursor:
                    self.store.store(cursor)
                    self.cursor = cursor
        except StopIteration:
            return
        finally:
            call.cancel()

    def after(self, error: Any) -> None:
        """Prepares the next attempt after an error; raises it where there is none."""
        if reason_of(error) == "WRONG_EPOCH":
            assert self.cursor is not None
            _LOG.warning(
                "the journal was replaced (it was %s): following the new one from its beginning",
                self.cursor.epoch,
            )
            self.cursor = None
            return
        passing = error.code() in PASSING
        # What gRPC says of a connection that broke under a stream.
        broken = error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
        if not passing and not (broken and self.cursor is not None):
            raise refused(error) from error
        silent = error.code() == grpc.StatusCode.CANCELLED
        why = "the daemon was silent for too long" if silent else error.details()
        _LOG.warning("%s; trying again in %.2g s", why, self.pause)
        time.sleep(self.pause)
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)


def follow(
    server: str = DEFAULT_SERVER,
    state: str | os.PathLike[str] | CursorStore = "leukd-cursor.json",
    *,
    credentials: Credentials | None = None,
    heartbeats: bool = False,
) -> Generator[results_pb2.Event, None, None]:
    """Yields every event of the journal, in order, from where `state` says.

    The cursor is kept after your step: when you ask for the next event. A process that is killed
    in between sees that one event again, with the same sequence. Where nothing may come twice,
    give a CursorStore whose `load` reads the cursor from your own database, and whose `store` does
    nothing; write `sequence_of(event)` there in the transaction of your step.

    The first event of each journal is its `hello`. When the journal was replaced (a new epoch),
    the new one comes from its beginning, after its own hello. A `gap` says which sequences
    retention removed. A broken connection is made again without end; a refusal raises `Refused`.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(state, (str, os.PathLike)):
            store: CursorStore = stack.enter_context(CursorFile(state))
        else:
            store = state
        follower = _Follower(store, heartbeats)
        watch = _Watch()
        stack.callback(watch.end)
        while True:
            with channel(server, credentials) as of:
                try:
                    yield from follower.connection(of, watch)
                except grpc.RpcError as error:
                    follower.after(error)
                else:
                    time.sleep(_FIRST_PAUSE)
