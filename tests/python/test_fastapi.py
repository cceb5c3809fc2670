"""Runs in a web application: dependencies with a yield, streamed answers, requests side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from callboard import InstrumentationManager, _generators, telemetry_context
from harness import Recorder, recorded

fastapi = pytest.importorskip("fastapi", reason="FastAPI is not in this environment")

from fastapi import Depends, FastAPI  # noqa: E402 (found by the line above)
from fastapi.responses import StreamingResponse  # noqa: E402 (as before)
from fastapi.testclient import TestClient  # noqa: E402 (as before)

RUNS: dict[str, tuple[InstrumentationManager, Recorder]] = {}
"""By the name that a request gives."""


def new_run(name: str) -> Any:
    RUNS[name] = recorded()
    return telemetry_context(RUNS[name][0], name)


def record(name: str, what: str) -> str:
    manager = RUNS[name][0]
    with manager.start_span(what):
        manager.record_event(f"in {what}")
    return f"{what}\n"


def dependency(name: str) -> Iterator[Any]:
    run = new_run(name)
    with run:
        yield run


async def async_dependency(name: str) -> AsyncIterator[Any]:
    run = new_run(name)
    with run:
        yield run


Run = Annotated[Any, Depends(dependency)]
AsyncRun = Annotated[Any, Depends(async_dependency)]
app = FastAPI()


@app.get("/step")
def step(name: str, run: Run) -> str:
    record(name, "outside")
    with run.step():
        return record(name, "within")


@app.get("/async-step")
async def async_step(name: str, run: Run) -> str:
    record(name, "outside")
    with run.step():
        return record(name, "within")


@app.get("/dependency")
def in_dependency(name: str, run: AsyncRun) -> str:
    return record(name, "within")


@app.get("/async-dependency")
async def in_async_dependency(name: str, run: AsyncRun) -> str:
    return record(name, "within")


def steps(name: str) -> Iterator[str]:
    with new_run(name), RUNS[name][0].start_span("within"):
        for number in range(3):
            yield record(name, f"step {number}")


async def async_steps(name: str) -> AsyncIterator[str]:
    with new_run(name), RUNS[name][0].start_span("within"):
        for number in range(3):
            yield record(name, f"step {number}")


@app.get("/stream")
def stream(name: str) -> StreamingResponse:
    return StreamingResponse(steps(name))


@app.get("/async-stream")
async def async_stream(name: str) -> StreamingResponse:
    return StreamingResponse(async_steps(name))


@app.get("/stepped-stream")
def stepped_stream(name: str, run: Run) -> StreamingResponse:
    def within() -> Iterator[str]:
        with run.step(), RUNS[name][0].start_span("within"):
            for number in range(3):
                yield record(name, f"step {number}")

    return StreamingResponse(within())


PATHS = ["step", "async-step", "dependency", "async-dependency"]
STREAMS = ["stream", "async-stream", "stepped-stream"]


def check(name: str, path: str) -> None:
    manager, recorder = RUNS[name]
    assert manager.flush()
    expected = {"workflow": None, "within": "workflow"}
    if path in STREAMS:
        expected |= {f"step {number}": "within" for number in range(3)}
    assert recorder.parents() == expected
    assert recorder.ended()[-1] == "workflow"


@pytest.mark.parametrize("path", PATHS + STREAMS)
def test_a_request_is_recorded_in_its_run(path: str) -> None:
    with TestClient(app) as client:
        assert client.get(f"/{path}", params={"name": path}).status_code == 200
    check(path, path)
    assert _generators._by_frame == {}


def test_requests_side_by_side() -> None:
    names = [(path, f"{path} {number}") for path in PATHS + STREAMS for number in range(4)]
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.get, f"/{path}", params={"name": name}) for path, name in names]
        assert {answer.result().status_code for answer in answers} == {200}
    for path, name in names:
        check(name, path)
    assert _generators._by_frame == {}


def test_a_dependency_without_a_step_records_nothing_and_is_warned_of(caplog: Any) -> None:
    application = FastAPI()

    @application.get("/")
    def endpoint(name: str, run: Run) -> str:
        return record(name, "outside")

    _generators._warned.discard(_generators.ELSEWHERE)
    with TestClient(application) as client, pytest.warns(RuntimeWarning, match="run.step()"):
        for name in ("one", "two"):
            client.get("/", params={"name": name})
    assert caplog.messages.count(_generators.ELSEWHERE) == 1
    for name in ("one", "two"):
        assert RUNS[name][1].parents() == {"workflow": None}
