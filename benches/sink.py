"""A collector that takes everything: it answers 200, keeps what it was sent, and counts that when it is asked.

It is a process of its own, the same one for both sides, so that its work stands in nobody's bill. Counting waits until
nothing is measured. With `--stuck` it takes requests and never answers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import machine


class Sink:
    """A sink that runs, as who measures sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self._address = f"http://127.0.0.1:{int(process.stdout.readline())}"
        self.endpoint = f"{self._address}/v1/traces"

    def take_counts(self) -> dict[str, int]:
        """What came since the last call: `requests`, `bytes`, `spans`, `events`."""
        with urllib.request.urlopen(self._address) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self._process.pid)


@contextmanager
def running(*options: str) -> Iterator[Sink]:
    """A sink, in a process of its own."""
    command = [sys.executable, __file__, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Sink(process)
        finally:
            process.kill()


class Server(ThreadingHTTPServer):
    """Listens on a port that the machine chooses."""

    def __init__(self, *, stuck: bool) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.stuck = stuck
        self.bodies: list[bytes] = []

    def take_counts(self) -> dict[str, int]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        bodies, self.bodies = self.bodies, []
        spans = [
            span
            for body in bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return {
            "requests": len(bodies),
            "bytes": sum(map(len, bodies)),
            "spans": len(spans),
            "events": sum(len(span.events) for span in spans),
        }


class Answers(BaseHTTPRequestHandler):
    """POST is an export; GET asks for the counts."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.stuck:
            threading.Event().wait()
        self.server.bodies.append(body)
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(json.dumps(self.server.take_counts()).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the terminal is the table's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stuck", action="store_true", help="take requests and never answer")
    server = Server(stuck=parser.parse_args().stuck)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
