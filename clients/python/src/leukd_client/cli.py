"""`leukd-follow`: every event as a line."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from dataclasses import replace

from google.protobuf import json_format

from .connection import DEFAULT_SERVER, Credentials
from .errors import LeukdError, Refused, StateError
from .follow import follow, sequence_of
from .v1 import results_pb2

NOTICE = "For Research Use Only. Not for use in diagnostic procedures."
KINDS = ("hello", "result", "review", "specimen", "field", "signature", "gap", "heartbeat")


def _json(event: results_pb2.Event) -> str:
    """As `leukd tail --json`: the contract's names, defaults too."""
    plain = json_format.MessageToDict(
        event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _text(event: results_pb2.Event) -> str:
    kind = event.WhichOneof("kind") or ""
    if kind == "hello":
        return f"journal {event.hello.epoch}"
    of = getattr(event, kind)
    specimen = getattr(of, "specimen", "")
    # A name must not steer the terminal that shows it.
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in specimen)
    return f"{sequence_of(event)} {kind} {shown}".rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leukd-follow", description="Follows a leukd's events across breaks.", epilog=NOTICE
    )
    environment = os.environ.get
    parser.add_argument(
        "--server",
        default=environment("LEUKD_SERVER") or DEFAULT_SERVER,
        help="http://HOST:PORT, https://HOST:PORT or unix:/PATH (LEUKD_SERVER) [%(default)s]",
    )
    parser.add_argument("--state", default="leukd-cursor.json", help="the cursor [%(default)s]")
    parser.add_argument("--ndjson", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--kind", action="append", choices=KINDS, metavar="KIND",
        help="print these alone, again for more: " + ", ".join(KINDS),
    )
    parser.add_argument("--once", action="store_true", help="end when all that is stored has come")
    parser.add_argument("--ca", help="the CA of the daemon's certificate, PEM (LEUKD_CA)")
    parser.add_argument("--cert", help="the client's certificate, PEM (LEUKD_CERT)")
    parser.add_argument("--key", help="its key, PEM (LEUKD_KEY)")
    parser.add_argument("--token-file", help="a file with a token (LEUKD_TOKEN_FILE)")
    return parser


def _credentials(arguments: argparse.Namespace) -> Credentials:
    given = {name: getattr(arguments, name) for name in ("ca", "cert", "key", "token_file")}
    return replace(
        Credentials.from_environment(), **{name: value for name, value in given.items() if value}
    )


def _sync_output() -> None:
    """What was written is on the disk before the cursor is, where the output is a file."""
    with contextlib.suppress(OSError):
        os.fsync(sys.stdout.fileno())


def _run(arguments: argparse.Namespace) -> None:
    kinds = set(arguments.kind or (kind for kind in KINDS if kind != "heartbeat"))
    events = follow(
        arguments.server, arguments.state, credentials=_credentials(arguments), heartbeats=True
    )
    for event in events:
        kind = event.WhichOneof("kind")
        if kind in kinds:
            print(_json(event) if arguments.ndjson else _text(event), flush=True)
            _sync_output()
        # The cursors of all events before a heartbeat are kept.
        if arguments.once and kind == "heartbeat":
            break
    events.close()


def main() -> None:
    """Runs it. Exit codes are those of `leukd`: 64 usage, 65 data, 69 out of reach, 77 rights."""
    arguments = _parser().parse_args()
    logging.basicConfig(format="leukd-follow: %(message)s")
    try:
        _run(arguments)
    except BrokenPipeError:
        # Nothing is left to write to: not even what Python would flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    except Refused as error:
        rights = getattr(error.code, "name", "") in ("UNAUTHENTICATED", "PERMISSION_DENIED")
        print(f"leukd-follow: {error}", file=sys.stderr)
        sys.exit(77 if rights else 65)
    except StateError as error:
        print(f"leukd-follow: {error}", file=sys.stderr)
        sys.exit(74)
    except LeukdError as error:
        print(f"leukd-follow: {error}", file=sys.stderr)
        sys.exit(64)


if __name__ == "__main__":
    main()
