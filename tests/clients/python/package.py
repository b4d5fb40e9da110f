"""The package leukd-client: one scenario of README.md a run.

    PYTHONPATH=../../../clients/python/src python3 package.py follow --server 127.0.0.1:50051
"""

import argparse
import contextlib
import sqlite3
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path

import grpc
from leukd_client import (
    Credentials,
    Cursor,
    CursorFile,
    CursorRefused,
    LeukdError,
    Refused,
    StateError,
    classify,
    follow,
    sequence_of,
)
from leukd_client.v1 import results_pb2 as pb
from leukd_client.v1 import results_pb2_grpc

TABLES = """
CREATE TABLE IF NOT EXISTS result (result_id TEXT PRIMARY KEY, sequence INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY, epoch TEXT, sequence INTEGER) STRICT;
"""


class Database:
    """A LIMS's own tables: the cursor moves in the transaction of the result."""

    def __init__(self, file):
        self.tables = sqlite3.connect(file)
        self.tables.executescript(TABLES)

    def load(self):
        row = self.tables.execute("SELECT epoch, sequence FROM cursor").fetchone()
        return Cursor(*row) if row else None

    def store(self, cursor):
        """It moved with the step."""

    def step(self, event, epoch):
        with self.tables:
            if event.WhichOneof("kind") == "result":
                of = event.result
                self.tables.execute("INSERT INTO result VALUES (?, ?)", (of.result_id, of.sequence))
            at = sequence_of(event)
            self.tables.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?)", (epoch, at))


def follow_into_a_database(arguments):
    """Until it is killed, or has as many results as there will be."""
    own = Database(arguments.database)

    def is_done():
        (stored,) = own.tables.execute("SELECT count(*) FROM result").fetchone()
        return stored == arguments.expect

    epoch = kept.epoch if (kept := own.load()) else ""
    # One that was killed before may have had them all.
    events = () if is_done() else follow(arguments.server, own)
    for event in events:
        if event.WhichOneof("kind") == "hello":
            epoch = event.hello.epoch
            continue
        # A result that came twice would end here: its id is a key.
        own.step(event, epoch)
        if is_done():
            break
    print(f"{arguments.expect} results, each just once")


def refused(kind, call):
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


def classify_one(arguments):
    credentials = Credentials(ca=arguments.ca, token_file=arguments.token_file)
    ids = {"specimen": "S-7", "slide": "1", "cell": "4", "credentials": credentials}
    first, second = (classify(arguments.capture, arguments.server, **ids) for _ in range(2))
    assert first == second and first.label == "all" and first.specimen == "S-7", first
    said = refused(Refused, lambda: classify(__file__, arguments.server, credentials=credentials))
    assert "INVALID_ARGUMENT" in said and "not-an-image" in said, said
    if arguments.ca:
        stranger = Credentials(ca=arguments.ca, token="leukd_of_another_laboratory")
        said = refused(
            Refused, lambda: classify(arguments.capture, arguments.server, credentials=stranger)
        )
        assert "UNAUTHENTICATED" in said, said
    far = Credentials(token="t")
    said = refused(
        LeukdError, lambda: classify(arguments.capture, "http://10.0.0.1:1", credentials=far)
    )
    assert "in the clear" in said, said
    for address in ["ftp://127.0.0.1:1", "http://127.0.0.1", "http://127.0.0.1:x", "https://"]:
        said = refused(LeukdError, lambda: classify(arguments.capture, address))
        assert "no address" in said, said
    print("classified, and refused with a reason")


class Scripted(results_pb2_grpc.ResultsServicer):
    """A daemon that does what a real one does seldom."""

    def __init__(self):
        self.starts = []
        self.steps = iter(
            [self.unknown_and_gap, self.break_off, self.silence, self.new_epoch, self.renewed]
            + [self.future]
        )

    def Subscribe(self, request, context):
        self.starts.append(request)
        yield from next(self.steps)(context)

    @staticmethod
    def hello(epoch):
        hello = pb.Event(hello={"epoch": epoch})
        hello.hello.heartbeat_interval.FromMilliseconds(100)
        return hello

    def unknown_and_gap(self, _):
        yield self.hello("a")
        yield pb.Event()
        yield pb.Event(gap={"from": 1, "to": 4})
        yield pb.Event(specimen={"sequence": 5})
        yield pb.Event(heartbeat={"sequence": 7})

    def break_off(self, context):
        yield self.hello("a")
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    def silence(self, context):
        yield self.hello("a")
        yield pb.Event(result={"sequence": 8, "result_id": "eight"})
        # The client treats it as dead after three heartbeats' time.
        deadline = time.monotonic() + 60
        while context.is_active():
            assert time.monotonic() < deadline, "the client waits for a dead server"
            time.sleep(0.05)

    def of_the_epoch(self, context, reason):
        context.set_trailing_metadata([("grpc-status-details-bin", b"\n\x0b" + reason)])
        context.abort(grpc.StatusCode.OUT_OF_RANGE, "no such place")
        yield

    def new_epoch(self, context):
        yield from self.of_the_epoch(context, b"WRONG_EPOCH")

    def renewed(self, _):
        yield self.hello("b")
        yield pb.Event(result={"sequence": 1, "result_id": "one"})
        yield pb.Event(heartbeat={"sequence": 1})

    def future(self, context):
        yield from self.of_the_epoch(context, b"FUTURE_CURSOR")


def scripted(_):
    servicer = Scripted()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    results_pb2_grpc.add_ResultsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    came, state = [], Path(tempfile.mkdtemp()) / "cursor.json"
    try:
        for event in follow(f"127.0.0.1:{port}", state):
            came.append((event.WhichOneof("kind"), sequence_of(event)))
    except CursorRefused as error:
        assert error.reason == "FUTURE_CURSOR", error
    server.stop(None)
    expected = [("hello", None), ("gap", 4), ("specimen", 5), ("result", 8)]
    assert came == [*expected, ("hello", None), ("result", 1)], came
    starts = [(start.after.epoch, start.after.sequence) for start in servicer.starts]
    # Of the silent connection the result was dealt with, and so it was after each heartbeat.
    assert starts == [("", 0), ("a", 7), ("a", 7), ("a", 8), ("", 0), ("b", 1)], starts
    state.write_text('{"epoch": 7}')
    said = refused(StateError, lambda: next(follow("127.0.0.1:1", state)))
    assert str(state) in said, said
    with CursorFile(state), contextlib.closing(follow("127.0.0.1:1", state)) as second:
        said = refused(StateError, lambda: next(second))
        assert "another process" in said, said
    print("unknown kinds, gaps, breaks, silence and new epochs")


SCENARIOS = {"follow": follow_into_a_database, "classify": classify_one, "scripted": scripted}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--server")
    parser.add_argument("--expect", type=int)
    parser.add_argument("--database")
    parser.add_argument("--capture")
    parser.add_argument("--ca")
    parser.add_argument("--token-file")
    arguments = parser.parse_args()
    SCENARIOS[arguments.scenario](arguments)


if __name__ == "__main__":
    sys.exit(main())
