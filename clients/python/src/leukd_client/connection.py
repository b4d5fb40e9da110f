"""The way to a daemon: TCP, TLS or a Unix socket, with a token or a certificate."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import grpc

from .errors import LeukdError
from .v1 import (
    classifier_pb2_grpc,
    control_pb2_grpc,
    explainer_pb2_grpc,
    results_pb2_grpc,
    reviews_pb2_grpc,
)

DEFAULT_SERVER = "http://127.0.0.1:50051"

# A peer that died behind a tunnel is found by pings alone.
_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_send_message_length", -1),
]


@dataclass(frozen=True)
class Credentials:
    """Files of TLS and a token, each as a path. Variables of `leukd` itself: `from_environment`."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    token_file: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(ca={self.ca!r}, cert={self.cert!r}, token_file={self.token_file!r})"

    @classmethod
    def from_environment(cls) -> Credentials:
        """Those of LEUKD_CA, LEUKD_CERT, LEUKD_KEY, LEUKD_TOKEN_FILE and LEUKD_TOKEN."""
        names = ("CA", "CERT", "KEY", "TOKEN_FILE", "TOKEN")
        given = {name.lower(): os.environ.get(f"LEUKD_{name}") or None for name in names}
        return cls(**given)

    def bearer(self) -> str | None:
        """The token itself."""
        token, of = self.token, "the token"
        if self.token_file is not None:
            token, of = _read(self.token_file).decode("utf-8", "replace"), self.token_file
        if token is None:
            return None
        token = token.strip()
        if not token or len(token.split()) != 1 or not token.isascii():
            raise LeukdError(f"{of} is no token: put in the line that `leukd token new` printed")
        return token


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise LeukdError(f"cannot read {path}: {error.strerror}") from error


def _target(server: str, tls: bool) -> tuple[str, bool, bool]:
    """gRPC's target, whether it takes TLS, and whether the way stays on this machine."""
    if server.startswith("unix:"):
        return server, False, True
    if "://" not in server:
        server = f"{'https' if tls else 'http'}://{server}"
    wanted = "write http://HOST:PORT, https://HOST:PORT or unix:/PATH"
    try:
        url = urlsplit(server)
        port = url.port
    except ValueError as error:
        raise LeukdError(f"{server!r} is no address of a leukd: {wanted}") from error
    extra = url.path.strip("/") or url.query or url.username
    if url.scheme not in ("http", "https") or not url.hostname or port is None or extra:
        raise LeukdError(f"{server!r} is no address of a leukd: {wanted}")
    host = url.hostname
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}", url.scheme == "https", near


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """Shows the token with each call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        shown = SimpleNamespace(
            method=details.method,
            timeout=details.timeout,
            metadata=[*(details.metadata or ()), self._header],
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
            compression=details.compression,
        )
        return continuation(shown, request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call
    intercept_stream_stream = _call


def channel(server: str = DEFAULT_SERVER, credentials: Credentials | None = None) -> Any:
    """A gRPC channel. It connects with its first call; close it, or use it in a `with`."""
    own = credentials or Credentials()
    if (own.cert is None) != (own.key is None):
        raise LeukdError("a certificate needs its key, and a key its certificate")
    files = own.ca is not None or own.cert is not None
    target, tls, near = _target(server, files)
    token = own.bearer()
    if tls:
        ca, key, cert = (_read(f) if f else None for f in (own.ca, own.key, own.cert))
        keys = grpc.ssl_channel_credentials(ca, key, cert)
        made = grpc.secure_channel(target, keys, options=_OPTIONS)
    else:
        if files:
            raise LeukdError(f"{server}: a CA and a certificate are for https://")
        if token is not None and not near:
            raise LeukdError(f"the token would cross the network to {server} in the clear")
        made = grpc.insecure_channel(target, options=_OPTIONS)
    return grpc.intercept_channel(made, _Bearer(token)) if token is not None else made


def stubs(of: Any) -> SimpleNamespace:
    """A stub of each service over a channel: classifier, results, reviews, explainer, control."""
    return SimpleNamespace(
        classifier=classifier_pb2_grpc.ClassifierStub(of),
        results=results_pb2_grpc.ResultsStub(of),
        reviews=reviews_pb2_grpc.ReviewsStub(of),
        explainer=explainer_pb2_grpc.ExplainerStub(of),
        control=control_pb2_grpc.ControlStub(of),
    )
