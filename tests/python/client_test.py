"""A client of leukd made from proto/ alone, which loses its connection again and again.

    python3 client_test.py --proto ../../proto --server 127.0.0.1:50051 --expect 60

Subscribes from the earliest result, drops its connection after a random few messages, resumes by its
cursor, and ends well only if it then has just what ListResults gives. The captures may still be coming.
"""

import argparse
import importlib
import pathlib
import random
import sys
import tempfile
import time

import grpc
import grpc_tools
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

PATIENCE = 60
SERVICES = {"leukd.v1.Classifier", "leukd.v1.Control", "leukd.v1.Results", "leukd.v1.Reviews"}


def make_stubs(proto, into):
    """Compiles the contract as any client would, and makes it importable."""
    files = sorted(str(path) for path in pathlib.Path(proto).rglob("*.proto"))
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={into}"]
    if protoc.main([*arguments, f"--grpc_python_out={into}", *files]) != 0:
        sys.exit("the contract does not compile")
    sys.path.insert(0, into)


def check_health(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", *sorted(SERVICES)]:
        request = health_pb2.HealthCheckRequest(service=service)
        status = health.Check(request, timeout=PATIENCE).status
        assert status == health_pb2.HealthCheckResponse.SERVING, (service, status)


def check_reflection(channel, results_pb2):
    reflected = ProtoReflectionDescriptorDatabase(channel)
    services = set(reflected.get_services())
    assert SERVICES | {"grpc.health.v1.Health"} <= services, services
    # What the server tells of itself is the contract that these stubs were made of.
    pool = DescriptorPool(reflected)
    told = pool.FindServiceByName("leukd.v1.Results")
    ours = results_pb2.DESCRIPTOR.services_by_name["Results"]
    assert [method.name for method in told.methods] == [method.name for method in ours.methods]
    event = pool.FindMessageTypeByName("leukd.v1.Event")
    assert [field.name for field in event.fields] == ["hello", "result", "gap", "heartbeat", "review", "specimen", "field"]


def list_results(stub, results_pb2):
    results, token = [], ""
    while True:
        request = results_pb2.ListResultsRequest(page_size=17, page_token=token)
        page = stub.ListResults(request, timeout=PATIENCE)
        results.extend(page.results)
        token = page.next_page_token
        if not token:
            return results


def follow(server, expect, dice, results_pb2, results_pb2_grpc):
    """Every result, over as many connections as it takes."""
    seen, connections = [], 0
    start = results_pb2.SubscribeRequest(earliest={})
    deadline = time.monotonic() + PATIENCE
    while len(seen) < expect:
        assert time.monotonic() < deadline, f"{len(seen)} of {expect} results in {PATIENCE} s"
        connections += 1
        with grpc.insecure_channel(server) as channel:
            events = results_pb2_grpc.ResultsStub(channel).Subscribe(start, timeout=PATIENCE)
            hello = next(events)
            assert hello.WhichOneof("kind") == "hello", hello
            epoch = hello.hello.epoch
            cursor = seen[-1].sequence if seen else 0
            for _ in range(dice.randint(1, 12)):
                event = next(events)
                kind = event.WhichOneof("kind")
                if kind == "result":
                    assert event.result.sequence > cursor, (event.result.sequence, cursor)
                    assert event.result.epoch == epoch
                    seen.append(event.result)
                    cursor = event.result.sequence
                else:
                    assert kind == "heartbeat", event
                if len(seen) == expect:
                    break
        # The channel is closed: whatever was on its way is lost, and comes again.
        start = results_pb2.SubscribeRequest(after={"epoch": epoch, "sequence": cursor})
    return seen, connections


def check_refusal(stub, results_pb2, epoch):
    request = results_pb2.SubscribeRequest(after={"epoch": epoch, "sequence": 1 << 40})
    try:
        next(stub.Subscribe(request, timeout=PATIENCE))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.OUT_OF_RANGE, error
    else:
        raise AssertionError("a cursor of the future was taken")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proto", required=True, help="the folder that holds leukd/v1/*.proto")
    parser.add_argument("--server", required=True, help="host:port")
    parser.add_argument("--expect", required=True, type=int, help="how many results there will be")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as stubs:
        make_stubs(arguments.proto, stubs)
        results_pb2 = importlib.import_module("leukd.v1.results_pb2")
        results_pb2_grpc = importlib.import_module("leukd.v1.results_pb2_grpc")
    with grpc.insecure_channel(arguments.server) as channel:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        check_health(channel)
        check_reflection(channel, results_pb2)
        seen, connections = follow(
            arguments.server, arguments.expect, dice, results_pb2, results_pb2_grpc
        )
        stub = results_pb2_grpc.ResultsStub(channel)
        stored = list_results(stub, results_pb2)
        # A listing tells how each result stands now, a stream does not.
        for result in stored:
            assert result.HasField("standing"), result
            result.ClearField("standing")
        assert seen == stored, (
            f"seen {[result.sequence for result in seen]}, "
            f"stored {[result.sequence for result in stored]}"
        )
        check_refusal(stub, results_pb2, stored[0].epoch)
    assert connections > 1, "the connection never broke"
    print(f"{len(seen)} results over {connections} connections, each just once")


if __name__ == "__main__":
    main()
