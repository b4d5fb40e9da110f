"""A client of leukd made from proto/ alone, over TLS and with a token.

    python3 secure_client.py --proto ../../proto --server localhost:50051 --ca ca.pem --token-file reader.token

The token has the scope read and no other. Ends well if it may read, may not administrate, and nobody else may anything.
"""

import argparse
import importlib
import pathlib
import tempfile

import grpc
from client_test import PATIENCE, check_health, make_stubs


def expect(code, call, message):
    try:
        call(message, timeout=PATIENCE)
    except grpc.RpcError as error:
        assert error.code() == code, error
    else:
        raise AssertionError(f"{call} was answered, not refused with {code}")


def channel_of(server, ca, token):
    credentials = grpc.ssl_channel_credentials(ca)
    if token:
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.access_token_call_credentials(token)
        )
    return grpc.secure_channel(server, credentials)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proto", required=True, help="the folder that holds leukd/v1/*.proto")
    parser.add_argument("--server", required=True, help="host:port")
    parser.add_argument("--ca", required=True, help="the CA of the server's certificate (PEM)")
    parser.add_argument("--token-file", required=True, help="a file with a token")
    arguments = parser.parse_args()
    ca = pathlib.Path(arguments.ca).read_bytes()
    token = pathlib.Path(arguments.token_file).read_text().strip()
    with tempfile.TemporaryDirectory() as stubs:
        make_stubs(arguments.proto, stubs)
        pb2 = importlib.import_module("leukd.v1.control_pb2")
        services = importlib.import_module("leukd.v1.control_pb2_grpc")
    with channel_of(arguments.server, ca, token) as channel:
        control = services.ControlStub(channel)
        status = control.GetStatus(pb2.GetStatusRequest(), timeout=PATIENCE)
        assert status.version, status
        expect(grpc.StatusCode.PERMISSION_DENIED, control.ReloadModel, pb2.ReloadModelRequest())
    for stranger in [None, "leukd_of_another_laboratory"]:
        with channel_of(arguments.server, ca, stranger) as channel:
            control = services.ControlStub(channel)
            expect(grpc.StatusCode.UNAUTHENTICATED, control.GetStatus, pb2.GetStatusRequest())
    with channel_of(arguments.server, ca, None) as channel:
        check_health(channel)
    print(f"leukd {status.version} over TLS, with a token that reads")


if __name__ == "__main__":
    main()
