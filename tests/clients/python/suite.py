"""A client of leukd made from proto/ alone: one scenario of README.md a run.

    python3 suite.py follow --proto ../../../proto --server 127.0.0.1:50051 --expect 60
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


class Contract:
    """Compiles the contract as any client would, and makes it importable."""

    def __init__(self, proto, into):
        files = sorted(str(path) for path in pathlib.Path(proto).rglob("*.proto"))
        well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
        arguments = ["protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={into}"]
        if protoc.main([*arguments, f"--grpc_python_out={into}", *files]) != 0:
            sys.exit("the contract does not compile")
        sys.path.insert(0, into)
        for name in ["classifier", "control", "results"]:
            setattr(self, name, importlib.import_module(f"leukd.v1.{name}_pb2"))
            setattr(self, f"{name}_grpc", importlib.import_module(f"leukd.v1.{name}_pb2_grpc"))


def refused(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
    else:
        raise AssertionError(f"it was answered, not refused with {code}")


def check_health(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", *sorted(SERVICES)]:
        request = health_pb2.HealthCheckRequest(service=service)
        status = health.Check(request, timeout=PATIENCE).status
        assert status == health_pb2.HealthCheckResponse.SERVING, (service, status)


def check_reflection(channel, of):
    reflected = ProtoReflectionDescriptorDatabase(channel)
    services = set(reflected.get_services())
    assert SERVICES | {"grpc.health.v1.Health"} <= services, services
    # What the server tells of itself is the contract that these stubs were made of.
    pool = DescriptorPool(reflected)
    ours = of.results.DESCRIPTOR.services_by_name["Results"]
    told = pool.FindServiceByName("leukd.v1.Results")
    assert [method.name for method in told.methods] == [method.name for method in ours.methods]
    ours = of.results.Event.DESCRIPTOR
    told = pool.FindMessageTypeByName("leukd.v1.Event")
    assert [field.name for field in told.fields] == [field.name for field in ours.fields]


def listed(stub, of, page_size):
    """Every result that is stored, and the number of pages that they came in."""
    results, token, pages = [], "", 0
    while True:
        request = of.results.ListResultsRequest(page_size=page_size, page_token=token)
        page = stub.ListResults(request, timeout=PATIENCE)
        results.extend(page.results)
        pages += 1
        token = page.next_page_token
        if not token:
            return results, pages


def followed(arguments, of, dice):
    """Every result, over as many connections as it takes."""
    seen, connections, cursor = [], 0, None
    deadline = time.monotonic() + PATIENCE
    while len(seen) < arguments.expect:
        assert time.monotonic() < deadline, f"{len(seen)} of {arguments.expect} results"
        start = {"after": cursor} if cursor else {"earliest": {}}
        messages = dice.randint(2, 12)
        with grpc.insecure_channel(arguments.server) as channel:
            stub = of.results_grpc.ResultsStub(channel)
            events = stub.Subscribe(of.results.SubscribeRequest(**start), timeout=PATIENCE)
            try:
                for event in events:
                    kind = event.WhichOneof("kind")
                    if kind == "hello":
                        connections += 1
                        epoch = event.hello.epoch
                    elif kind == "result":
                        after = seen[-1].sequence if seen else 0
                        assert event.result.sequence > after, (event.result.sequence, after)
                        assert event.result.epoch == epoch
                        seen.append(event.result)
                        cursor = {"epoch": epoch, "sequence": event.result.sequence}
                    else:
                        assert kind == "heartbeat", event
                    messages -= 1
                    if messages == 0 or len(seen) == arguments.expect:
                        break
            except grpc.RpcError as error:
                # The daemon was killed: it comes again.
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                time.sleep(0.1)
        # The channel is closed: whatever was on its way is lost, and comes again.
    return seen, connections


def follow(arguments, of):
    print(f"seed {arguments.seed}")
    seen, connections = followed(arguments, of, random.Random(arguments.seed))
    with grpc.insecure_channel(arguments.server) as channel:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        check_health(channel)
        check_reflection(channel, of)
        stub = of.results_grpc.ResultsStub(channel)
        stored, _ = listed(stub, of, 17)
        # A listing tells how each result stands now, a stream does not.
        for result in stored:
            assert result.HasField("standing"), result
            result.ClearField("standing")
        sequences = [[result.sequence for result in results] for results in (seen, stored)]
        assert seen == stored, f"seen and stored: {sequences}"
        future = {"epoch": stored[0].epoch, "sequence": 1 << 40}
        request = of.results.SubscribeRequest(after=future)
        refused(grpc.StatusCode.OUT_OF_RANGE, lambda: next(stub.Subscribe(request)))
    assert connections > 1, "the connection never broke"
    print(f"{len(seen)} results over {connections} connections, each just once")


def classify(arguments, of):
    image = pathlib.Path(arguments.capture).read_bytes()
    Request = of.classifier.ClassifyRequest
    with grpc.insecure_channel(arguments.server) as channel:
        stub = of.classifier_grpc.ClassifierStub(channel)
        request = Request(image=image, specimen="S-7", slide="1", cell="4")
        first, second = (stub.Classify(request, timeout=PATIENCE) for _ in range(2))
        assert first.result == second.result and second.reused and not first.reused
        assert first.result.label == "all" and first.result.specimen == "S-7", first
        rubbish = Request(image=b"no picture")
        refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.Classify(rubbish))
        cells = [Request(image=image, specimen="S-8", cell=str(cell)) for cell in range(40)]
        answers = list(stub.ClassifyStream(iter(cells), timeout=PATIENCE))
        assert sorted(answer.index for answer in answers) == list(range(40)), answers
        assert all(answer.classified.result.specimen == "S-8" for answer in answers), answers
    print("classified, one by one and in a stream")


def channel_of(server, ca, token=None, pair=(None, None)):
    credentials = grpc.ssl_channel_credentials(ca, pair[1], pair[0])
    if token:
        shown = grpc.access_token_call_credentials(token)
        credentials = grpc.composite_channel_credentials(credentials, shown)
    return grpc.secure_channel(server, credentials)


def status_of(channel, of):
    stub = of.control_grpc.ControlStub(channel)
    return stub.GetStatus(of.control.GetStatusRequest(), timeout=PATIENCE)


def token(arguments, of):
    ca = pathlib.Path(arguments.ca).read_bytes()
    own = pathlib.Path(arguments.token_file).read_text().strip()
    with channel_of(arguments.server, ca, own) as channel:
        version = status_of(channel, of).version
        control = of.control_grpc.ControlStub(channel)
        reload = of.control.ReloadModelRequest()
        refused(grpc.StatusCode.PERMISSION_DENIED, lambda: control.ReloadModel(reload))
    for stranger in [None, "leukd_of_another_laboratory"]:
        with channel_of(arguments.server, ca, stranger) as channel:
            refused(grpc.StatusCode.UNAUTHENTICATED, lambda: status_of(channel, of))
    with channel_of(arguments.server, ca) as channel:
        check_health(channel)
    print(f"leukd {version} over TLS, with a token that reads")


def certificate(arguments, of):
    files = [arguments.ca, arguments.certificate, arguments.key]
    ca, *pair = (pathlib.Path(file).read_bytes() for file in files)
    with channel_of(arguments.server, ca, pair=pair) as channel:
        version = status_of(channel, of).version
    with channel_of(arguments.server, ca) as channel:
        refused(grpc.StatusCode.UNAVAILABLE, lambda: status_of(channel, of))
    print(f"leukd {version} over TLS, with a certificate of our own")


def pages(arguments, of):
    with grpc.insecure_channel(arguments.server) as channel:
        stub = of.results_grpc.ResultsStub(channel)
        results, pages = listed(stub, of, 1000)
    sequences = [result.sequence for result in results]
    assert sequences == list(range(1, arguments.expect + 1)), sequences
    size = sum(result.ByteSize() for result in results)
    assert size > 4 << 20 and pages > 1, (size, pages)
    print(f"{size} bytes in {pages} pages")


def streams(arguments, of):
    with grpc.insecure_channel(arguments.server) as channel:
        stub = of.results_grpc.ResultsStub(channel)
        request = of.results.SubscribeRequest(earliest={})
        events = [stub.Subscribe(request, timeout=PATIENCE) for _ in range(130)]
        greeted = 0
        for stream in events:
            try:
                assert next(stream).WhichOneof("kind") == "hello"
                greeted += 1
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert greeted == arguments.expect, greeted
        status_of(channel, of)
        for stream in events:
            stream.cancel()
    print(f"{greeted} streams of 130, and short calls beside them")


SCENARIOS = [follow, classify, token, certificate, pages, streams]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    by_name = {scenario.__name__: scenario for scenario in SCENARIOS}
    parser.add_argument("scenario", choices=by_name)
    parser.add_argument("--proto", required=True, help="the folder that holds leukd/v1/*.proto")
    parser.add_argument("--server", required=True, help="host:port, or unix:PATH")
    parser.add_argument("--expect", type=int, help="how many there will be")
    parser.add_argument("--capture", help="a picture of a blast")
    parser.add_argument("--ca", help="the CA of the server's certificate (PEM)")
    parser.add_argument("--certificate", help="our own certificate (PEM)")
    parser.add_argument("--key", help="its key (PEM)")
    parser.add_argument("--token-file", help="a file with a token of the scope read")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as stubs:
        by_name[arguments.scenario](arguments, Contract(arguments.proto, stubs))


if __name__ == "__main__":
    main()
