"""The other side of a bridge: a receiver of HL7 v2 over MLLP, or a FHIR server.

    python3 lims.py mllp --port 2575 --log taken.ndjson [--validate] [--trouble SEED]
    python3 lims.py fhir --port 8080 --log taken.ndjson [--validate] [--trouble SEED]

Each message that it takes is a line of the log, on the disk before it is acknowledged. With
--trouble it refuses, stalls, breaks off and answers twice, by chance; with --refuse TEXT it refuses
every message that holds the text.
"""

import argparse
import json
import os
import random
import socketserver
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

START, END = b"\x0b", b"\x1c\r"


class Log:
    """Taken messages by identifier. A line that a kill cut is removed."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a+b")
        self.file.seek(0)
        text = self.file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.file.truncate(len(whole))
        self.taken = {json.loads(line)["id"] for line in whole.splitlines()}

    def take(self, entries):
        """Those whose identifier is not there yet, all in one write."""
        with self.lock:
            new = [entry for entry in entries if entry["id"] not in self.taken]
            lines = "".join(json.dumps(entry) + "\n" for entry in new)
            self.file.write(lines.encode())
            self.file.flush()
            os.fsync(self.file.fileno())
            self.taken.update(entry["id"] for entry in new)


class Trouble:
    """What goes wrong with a message: a word, by chance. Every third or so."""

    def __init__(self, seed, words):
        self.dice = None if seed is None else random.Random(seed)
        self.words = words

    def next(self):
        if self.dice is None or self.dice.random() > 0.4:
            return None
        return self.dice.choice(self.words)


def validate_hl7(text):
    """By two libraries: what each of them reads is what stands there."""
    import hl7
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    strict = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    assert strict.validate()
    plain = hl7.parse(text)
    assert str(plain.segment("MSH")[10]) == strict.msh.msh_10.value
    assert len(plain.segments("OBX")) >= 14
    for number, segment in enumerate(plain.segments("OBX"), 1):
        assert str(segment[1]) == str(number), segment


def entry_of_hl7(text):
    import hl7

    plain = hl7.parse(text)
    values = {}
    for segment in plain.segments("OBX"):
        values[str(segment[3][0][0])] = plain.unescape(str(segment[5]))
    return {
        "id": str(plain.segment("MSH")[10]),
        "specimen": plain.unescape(str(plain.segment("SPM")[2][0][1])),
        "status": str(plain.segment("OBR")[25]),
        "values": values,
        "message": text,
    }


def control_id(text):
    """Without a library: it takes none to start."""
    return text.split("|", 10)[9]


class Mllp(socketserver.StreamRequestHandler):
    def handle(self):
        held = b""
        while True:
            part = self.request.recv(65536)
            if not part:
                return
            held += part
            while END in held:
                frame, held = held.split(END, 1)
                if not self.one(frame.split(START, 1)[1].decode("utf-8")):
                    return

    def answer(self, code, of, text=""):
        ack = (
            f"MSH|^~\\&|lims||leukd||20250101000000||ACK^R22^ACK|a{time.monotonic_ns()}|P|2.5.1\r"
            f"MSA|{code}|{of}|{text}\r"
        )
        self.request.sendall(START + ack.encode() + END)

    def one(self, text):
        own = self.server
        of = control_id(text)
        if own.refuse and own.refuse in text:
            self.answer("AE", of, "no such specimen")
            return True
        trouble = own.trouble.next()
        if trouble in ("AE", "AR"):
            self.answer(trouble, of, "by chance")
            return True
        if trouble == "break":
            return False
        try:
            if own.validate:
                validate_hl7(text)
            entry = entry_of_hl7(text) if own.validate else {"id": of}
        except Exception as error:  # noqa: BLE001 (whatever a library finds)
            self.answer("AR", of, f"{type(error).__name__}: {error}".replace("\r", " "))
            return True
        own.log.take([entry])
        if trouble == "stall":
            return True  # taken, and never acknowledged
        if trouble == "break after":
            return False
        self.answer("AA", of)
        if trouble == "twice":
            self.answer("AA", of)
        return True


class Threaded(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def validate_bundle(text):
    from fhir.resources.R4B.bundle import Bundle

    bundle = Bundle.model_validate_json(text)
    urls = {entry.fullUrl for entry in bundle.entry}
    assert len(urls) == len(bundle.entry)
    for entry in bundle.entry:
        for field in ("specimen", "device", "result"):
            for of in as_list(getattr(entry.resource, field, None)):
                assert of.reference in urls, of.reference


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


class Fhir(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def respond(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def outcome(self, code, text):
        issue = [{"severity": "error", "code": "processing", "diagnostics": text}]
        self.respond(code, {"resourceType": "OperationOutcome", "issue": issue})

    def do_POST(self):
        own = self.server
        text = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        if own.token and self.headers.get("Authorization") != f"Bearer {own.token}":
            return self.outcome(401, "who are you?")
        if own.refuse and own.refuse in text:
            return self.outcome(422, "no such specimen")
        trouble = own.trouble.next()
        if trouble in ("422", "503"):
            return self.outcome(int(trouble), "by chance")
        if trouble == "break":
            return self.connection.close()
        try:
            assert self.headers["Content-Type"].startswith("application/fhir+json")
            if own.validate:
                validate_bundle(text)
            entries = self.conditional_creates(json.loads(text))
        except Exception as error:  # noqa: BLE001 (whatever a library finds)
            return self.outcome(400, f"{type(error).__name__}: {error}")
        own.log.take(entries)
        if trouble == "stall":
            time.sleep(own.stall)
        if trouble in ("stall", "break after"):
            return self.connection.close()
        done = [{"response": {"status": "201 Created"}} for _ in entries]
        self.respond(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": done})

    @staticmethod
    def conditional_creates(bundle):
        """An entry for each resource, known by the identifier that its condition searches for."""
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
        entries = []
        for entry in bundle["entry"]:
            request, resource = entry["request"], entry["resource"]
            kind = resource["resourceType"]
            assert (request["method"], request["url"]) == ("POST", kind), request
            [search] = parse_qs(request["ifNoneExist"], strict_parsing=True)["identifier"]
            first = resource["identifier"][0]
            escaped = [
                first[part].replace("\\", "\\\\").replace("|", "\\|").replace(",", "\\,")
                for part in ("system", "value")
            ]
            assert search == "|".join(escaped).replace("$", "\\$"), (search, first)
            entries.append({"id": f"{kind}?{search}", "resource": resource})
        return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["mllp", "fhir"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--trouble", type=int)
    parser.add_argument("--stall", type=float, default=3.0)
    parser.add_argument("--refuse")
    parser.add_argument("--token")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--client-ca")
    arguments = parser.parse_args()
    if arguments.kind == "mllp":
        server = Threaded(("127.0.0.1", arguments.port), Mllp)
        words = ["AE", "AR", "break", "stall", "break after", "twice", "twice"]
    else:
        ThreadingHTTPServer.daemon_threads = True
        server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Fhir)
        words = ["422", "503", "break", "stall", "break after"]
    for name in ("validate", "refuse", "token", "stall"):
        setattr(server, name, getattr(arguments, name))
    server.log = Log(arguments.log)
    server.trouble = Trouble(arguments.trouble, words)
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
        if arguments.client_ca:
            context.load_verify_locations(arguments.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
