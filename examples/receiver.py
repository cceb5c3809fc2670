"""A small OTLP/HTTP receiver for this machine: it takes a program's spans and draws the trace as a tree.

    python examples/receiver.py python examples/comedians.py   # run a program, show what it sent
    python examples/receiver.py --port 4318                    # show each trace as it comes, until stopped

    with Receiver() as receiver:
        ...                                     # export to receiver.endpoint
    print(draw(receiver.spans))

It takes protobuf, plain or gzip, and keeps everything in memory: for a demonstration and for tests. What it
draws beside a name are callboard's own attributes; other programs' spans show their name and duration.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PATH = "/v1/traces"
MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Event:
    name: str
    attributes: dict[str, object]


@dataclass(frozen=True)
class Span:
    """A span as it came: ids in lower-case hex, a root's `parent_id` empty, times in Unix nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: dict[str, object]
    events: tuple[Event, ...]
    resource: dict[str, object]
    scope: str


class Receiver:
    """Listens on 127.0.0.1 within a `with` block; port 0 takes a free one. `spans` grows as they come."""

    def __init__(self, port: int = 0) -> None:
        self._listener = _Listener(port, self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self.spans: list[Span] = []
        self.arrived = threading.Condition()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}{PATH}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self.arrived:
            self.spans.extend(decode(request))
            self.arrived.notify_all()


# ---- from the wire


def decode(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource, of_scope.scope.name)


def _span(span: WireSpan, resource: dict[str, object], scope: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        events=tuple(Event(event.name, _attributes(event.attributes)) for event in span.events),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


# ---- to the terminal


def draw(spans: Iterable[Span]) -> str:
    """Every trace as a tree, siblings in order of time. A span without its parent is drawn as a root."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    children = defaultdict(list)
    for span in sorted(by_id.values(), key=lambda span: (span.start_ns, -span.end_ns)):
        parent = by_id.get((span.trace_id, span.parent_id))
        children[parent and (parent.trace_id, parent.span_id)].append(span)

    def lines(span: Span, first: str, rest: str) -> Iterator[tuple[str, Span]]:
        yield first + title(span), span
        below = children[span.trace_id, span.span_id]
        for child in below:
            last = child is below[-1]
            yield from lines(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    drawn = [line for root in children[None] for line in lines(root, "", "")]
    width = max((len(name) for name, _ in drawn), default=0)
    return "\n".join(_line(name.ljust(width), span) for name, span in drawn)


def _line(name: str, span: Span) -> str:
    duration = f"{(span.end_ns - span.start_ns) / 1e6:9.2f} ms"
    mark = "  FAILED" if span.is_error else ""
    return f"{name} {duration}{mark}  {detail(span)}".rstrip()


def title(span: Span) -> str:
    """The span's name, and what tells it from its like."""
    sender, recipient = (span.attributes.get(f"ag2.agent.{role}") for role in ("sender", "recipient"))
    match span.attributes.get("ag2.span.type"):
        case "chat" | "nested_chat" | "summary" if sender and recipient:
            return f"{span.name}: {sender} → {recipient}"
        case "round":
            return f"{span.name} {span.attributes.get('ag2.round', '')}"
        case "reply_function":
            return f"{span.name} {span.attributes.get('ag2.reply_function', '')}"
    return span.name


def detail(span: Span) -> str:
    """What the span's events tell: a message, a model call's tokens and cost."""
    return "  ".join(filter(None, map(_event_detail, span.events)))


def _event_detail(event: Event) -> str:
    told = event.attributes
    if event.name == "cost":
        tokens = f"{told.get('ag2.llm.input_tokens', '?')} + {told.get('ag2.llm.output_tokens', '?')} tokens"
        return f"{tokens}, ${told['ag2.cost']:.6f}" if "ag2.cost" in told else f"{tokens}, unpriced"
    return ""


# ---- HTTP


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            return self._answer(413)
        body = self.rfile.read(length)
        if self.path != PATH:
            return self._answer(404)
        if self.headers.get("Content-Type") != "application/x-protobuf":
            return self._answer(415)
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
        except (DecodeError, OSError, EOFError):
            return self._answer(400)
        self.server.receiver.take(request)
        self._answer(200)

    def _answer(self, status: int) -> None:
        """An empty body is the whole of an ExportTraceServiceResponse that has nothing to complain of."""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: the traced program has the terminal."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Receives OTLP/HTTP spans and draws them as a tree.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="a program to run; without one, listens until stopped"
    )
    options = parser.parse_args()
    with Receiver(options.port) as receiver:
        return run(receiver, options.command) if options.command else follow(receiver)


def run(receiver: Receiver, command: list[str]) -> int:
    """Runs a program that exports to `receiver`, then draws what came. Returns the program's exit status."""
    done = subprocess.run(command, env={**os.environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint})
    traces = len({span.trace_id for span in receiver.spans})
    plural = "" if traces == 1 else "s"
    print(f"\n{len(receiver.spans)} spans in {traces} trace{plural} came to {receiver.endpoint}\n")
    print(draw(receiver.spans))
    return done.returncode


def follow(receiver: Receiver) -> int:
    print(f"listening at {receiver.endpoint}", flush=True)
    try:
        while True:
            with receiver.arrived:
                receiver.arrived.wait_for(lambda: receiver.spans)
                fresh = receiver.spans.copy()
                receiver.spans.clear()
            print(draw(fresh), end="\n\n", flush=True)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
