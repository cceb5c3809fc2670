"""A program that records spans, by callboard or by opentelemetry-sdk, and says what that took: one line of JSON.

    caller_us   what recording a span took of the caller's time
    cpu_us      what a span took of the CPU, in all threads, until everything was exported

Each side is imported only where it is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PACE_NS = 200_000


class Side(NamedTuple):
    """A way to record."""

    record: Callable[[int], object]
    """Records one span: 4 attributes at its start, 2 set later, 1 event with 2 attributes."""
    flush: Callable[[], object]
    """Returns when everything recorded has been exported."""


def callboard(endpoint: str, spans: int) -> Side:
    from callboard import EventKind, InstrumentationManager, OpenTelemetryProvider, SpanKind

    manager = InstrumentationManager()
    manager.register_provider(OpenTelemetryProvider(endpoint, "bench"))
    manager.start_trace("bench")
    return Side(_recording(manager, SpanKind.REPLY, EventKind.AGENT_SEND_MSG), lambda: manager.flush(60))


def nothing(endpoint: str, spans: int) -> Side:
    """callboard's calls, of methods that do nothing: the calls themselves."""

    class Span:
        def set_attribute(self, key: str, value: object) -> None: ...

    class Manager:
        def start_span(self, kind: str, attributes: dict[str, object]) -> Span:
            return span

        def record_event(self, kind: str, attributes: dict[str, object]) -> None: ...

        def end_span(self) -> None: ...

    span = Span()
    return Side(_recording(Manager(), "reply", "agent_send_msg"), lambda: None)


def _recording(manager: Any, reply: object, agent_send_msg: object) -> Callable[[int], object]:
    def record(number: int) -> None:
        span = manager.start_span(
            reply,
            attributes={
                "ag2.reply_function": "generate_reply",
                "ag2.agent.sender": "jack",
                "ag2.agent.recipient": "emma",
                "ag2.round": number,
            },
        )
        span.set_attribute("ag2.reply", "Why did the goldfish refuse the peanut butter?")
        span.set_attribute("ag2.final", True)
        manager.record_event(agent_send_msg, {"ag2.message": "Tell me a joke.", "ag2.silent": False})
        manager.end_span()

    return record


def opentelemetry(endpoint: str, spans: int) -> Side:
    """With room for every span: its own queue would drop most of a tight loop's."""
    return _opentelemetry(endpoint, max_queue_size=2 * spans)


def opentelemetry_default(endpoint: str, spans: int) -> Side:
    return _opentelemetry(endpoint, max_queue_size=None)


def _opentelemetry(endpoint: str, max_queue_size: int | None) -> Side:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "bench"}))
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint), max_queue_size=max_queue_size)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("bench")

    def record(number: int) -> None:
        with tracer.start_as_current_span(
            "reply",
            attributes={
                "ag2.reply_function": "generate_reply",
                "ag2.agent.sender": "jack",
                "ag2.agent.recipient": "emma",
                "ag2.round": number,
            },
        ) as span:
            span.set_attribute("ag2.reply", "Why did the goldfish refuse the peanut butter?")
            span.set_attribute("ag2.final", True)
            span.add_event("agent_send_msg", {"ag2.message": "Tell me a joke.", "ag2.silent": False})

    return Side(record, provider.force_flush)


SIDES = {side.__name__: side for side in (callboard, nothing, opentelemetry, opentelemetry_default)}


def tight(record: Callable[[int], object], spans: int) -> float:
    """Records one span after the other; the seconds that it took."""
    began = time.perf_counter()
    for number in range(spans):
        record(number)
    return time.perf_counter() - began


def paced(wait: Callable[[int], object]) -> Callable[[Callable[[int], object], int], float]:
    """Records a span every 200 us and waits in between; the seconds spent in recording."""

    def loop(record: Callable[[int], object], spans: int) -> float:
        clock = time.perf_counter_ns
        spent, due = 0, clock()
        for number in range(spans):
            due += PACE_NS
            wait(due)
            began = clock()
            record(number)
            spent += clock() - began
        return spent / 1e9

    return loop


def sleep_until(due: int) -> None:
    left = due - time.perf_counter_ns()
    if left > 0:
        time.sleep(left / 1e9)


def work_until(due: int) -> None:
    clock = time.perf_counter_ns
    while clock() < due:
        pass


LOOPS = {"tight": tight, "asleep": paced(sleep_until), "at-work": paced(work_until)}
"""`asleep` and `at-work` record a span every 200 us, and say what the program does in between."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("spans", type=int)
    parser.add_argument("endpoint")
    given = parser.parse_args()

    side = SIDES[given.side](given.endpoint, given.spans)
    # As many before: what is measured is a program that runs, not the system giving it its first memory.
    for number in range(given.spans):
        side.record(number)
    side.flush()
    process, thread = time.process_time(), time.thread_time()
    seconds = LOOPS[given.loop](side.record, given.spans)
    thread = time.thread_time() - thread
    side.flush()
    # In this thread recording counts, and waiting between two spans does not; what other threads do counts all.
    cpu = time.process_time() - process - thread + min(seconds, thread)
    print(json.dumps({"caller_us": seconds / given.spans * 1e6, "cpu_us": cpu / given.spans * 1e6}))


if __name__ == "__main__":
    main()
