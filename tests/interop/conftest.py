"""One Collector and one Jaeger for all tests; each test is a service of its own, so that they don't mix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import Collector, Jaeger, Peer


@pytest.fixture(scope="session", params=[Collector, Jaeger], ids=["collector", "jaeger"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    running = request.param(tmp_path_factory.mktemp(request.param.binary))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
