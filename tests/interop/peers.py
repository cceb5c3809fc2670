"""The real programs that callboard exports to: the OpenTelemetry Collector and Jaeger, run on this machine.

Each peer takes OTLP over HTTP and gRPC on free ports of 127.0.0.1, and gives back what it understood of a
service's spans: the Collector from its JSON file, Jaeger from its JSON API. `make interop` builds them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

BUILT = Path(__file__).parents[2] / "target" / "interop"
PATIENCE_S = 30.0
POLL_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True)
class ReadEvent:
    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ReadSpan:
    """A span as a peer gave it back: ids in lower-case hex, a root's `parent_id` empty."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    is_error: bool
    duration_us: int
    attributes: dict[str, Any]
    events: tuple[ReadEvent, ...] = field(default=())


class Peer(ABC):
    """A running program. `start` returns when it takes spans; `stop` ends it."""

    binary: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http_port, self.grpc_port, self.query_port, self.query_grpc_port = free_ports(4)

    def endpoint(self, protocol: str) -> str:
        """What an exporter of this protocol is given."""
        if protocol == "grpc":
            return f"http://127.0.0.1:{self.grpc_port}"
        return f"http://127.0.0.1:{self.http_port}/v1/traces"

    def start(self) -> None:
        (self.folder / "config.yaml").write_text(json.dumps(self.config()))  # JSON is YAML too
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [BUILT / self.binary, "--config", self.folder / "config.yaml"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(self._is_up, f"{self.binary} to listen")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """At once: what they hold is a test's, and Jaeger's orderly end takes 10 s."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._log.close()

    def wait_for_spans(self, service: str, count: int) -> list[ReadSpan]:
        """A service's spans, once there are at least `count`."""
        return wait_for(
            lambda: spans if len(spans := self.spans(service)) >= count else None,
            f"{self.binary} to have {count} spans of {service}",
        )

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.binary} ended:\n{(self.folder / 'log').read_text()}")
        return all(can_connect(port) for port in self.listens_at())

    def otlp_receiver(self) -> dict[str, Any]:
        return {
            "otlp": {
                "protocols": {
                    "http": {"endpoint": f"127.0.0.1:{self.http_port}"},
                    "grpc": {"endpoint": f"127.0.0.1:{self.grpc_port}"},
                }
            }
        }

    def listens_at(self) -> list[int]:
        return [self.http_port, self.grpc_port]

    @abstractmethod
    def config(self) -> dict[str, Any]: ...

    @abstractmethod
    def spans(self, service: str) -> list[ReadSpan]: ...


class Collector(Peer):
    """The OpenTelemetry Collector; it writes each request that it took as a line of OTLP JSON."""

    binary = "otelcol"

    def config(self) -> dict[str, Any]:
        return {
            "receivers": self.otlp_receiver(),
            "exporters": {"file": {"path": str(self.folder / "spans.jsonl"), "flush_interval": "50ms"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            },
        }

    def spans(self, service: str) -> list[ReadSpan]:
        lines = (self.folder / "spans.jsonl").read_text().splitlines(keepends=True)
        requests = (json.loads(line) for line in lines if line.endswith("\n"))  # the last may be half written
        return [
            self._span(span)
            for request in requests
            for of_resource in request["resourceSpans"]
            if self._attributes(of_resource["resource"]).get("service.name") == service
            for of_scope in of_resource["scopeSpans"]
            for span in of_scope["spans"]
        ]

    def _span(self, span: dict[str, Any]) -> ReadSpan:
        return ReadSpan(
            trace_id=span["traceId"],
            span_id=span["spanId"],
            parent_id=span.get("parentSpanId", ""),
            name=span["name"],
            kind={1: "internal", 3: "client"}.get(span["kind"], str(span["kind"])),
            is_error=span.get("status", {}).get("code") == 2,
            duration_us=(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) // 1000,
            attributes=self._attributes(span),
            events=tuple(ReadEvent(event["name"], self._attributes(event)) for event in span.get("events", ())),
        )

    def _attributes(self, bearer: dict[str, Any]) -> dict[str, Any]:
        return {pair["key"]: self._value(pair["value"]) for pair in bearer.get("attributes", ())}

    def _value(self, value: dict[str, Any]) -> Any:
        match value:
            case {"intValue": number}:
                return int(number)
            case {"arrayValue": {"values": items}}:
                return [self._value(item) for item in items]
            case {"kvlistValue": {"values": pairs}}:
                return self._attributes({"attributes": pairs})
        return next(iter(value.values()), None)


class Jaeger(Peer):
    """Jaeger with its memory store, read through the API that its own web page uses."""

    binary = "jaeger"

    def store(self) -> dict[str, Any]:
        return {"memory": {"max_traces": 10_000}}

    def listens_at(self) -> list[int]:
        return [*super().listens_at(), self.query_port]

    def config(self) -> dict[str, Any]:
        return {
            "extensions": {
                "jaeger_storage": {"backends": {"store": self.store()}},
                "jaeger_query": {
                    "storage": {"traces": "store"},
                    "http": {"endpoint": f"127.0.0.1:{self.query_port}"},
                    "grpc": {"endpoint": f"127.0.0.1:{self.query_grpc_port}"},
                },
            },
            "receivers": self.otlp_receiver(),
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "store"}},
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            },
        }

    def spans(self, service: str) -> list[ReadSpan]:
        traces = self._get(f"/api/traces?service={service}&limit=100")
        return [self._span(span) for trace in traces for span in trace["spans"]]

    def _get(self, path: str) -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.query_port}{path}") as response:
                return json.load(response)["data"] or []
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def _span(self, span: dict[str, Any]) -> ReadSpan:
        tags = self._fields(span["tags"])
        parents = [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]
        return ReadSpan(
            trace_id=span["traceID"],
            span_id=span["spanID"],
            parent_id=parents[0] if parents else "",
            name=span["operationName"],
            kind=tags.get("span.kind", "internal"),
            is_error=tags.get("error", False),
            duration_us=span["duration"],
            attributes=tags,
            events=tuple(self._event(log) for log in span["logs"]),
        )

    def _event(self, log: dict[str, Any]) -> ReadEvent:
        fields = self._fields(log["fields"])
        return ReadEvent(fields.pop("event"), fields)

    def _fields(self, pairs: list[dict[str, Any]]) -> dict[str, Any]:
        """Jaeger's key-value pairs. What is no plain value it keeps as JSON text."""
        return {pair["key"]: pair["value"] for pair in pairs}


class JaegerOnDisk(Jaeger):
    """Jaeger with Badger, which refuses a batch for ever that has a text of more than 65,000 bytes."""

    def store(self) -> dict[str, Any]:
        directories = {"keys": str(self.folder / "keys"), "values": str(self.folder / "values")}
        return {"badger": {"ephemeral": False, "directories": directories}}


def free_ports(count: int) -> list[int]:
    """Neither program tells which port it got for 0, so ports are chosen here, just before they are taken."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], T | None], what: str) -> T:
    """The first true value of `condition`, asked again and again: the peers don't tell when they are done."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:.0f} s in vain for {what}")
        time.sleep(POLL_S)
