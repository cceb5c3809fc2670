"""What a build that is guided by a profile learns from: the benchmarks' programs, watched by callboard.

`scripts/train` runs it with a build that counts. It measures nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

import ag2
import conversations
import sink
import spans


def programs(endpoint: str) -> Iterator[Sequence[str]]:
    yield (*spans.PYTHON, "callboard", "tight", str(spans.TIGHT_SPANS), endpoint)
    yield (*conversations.PROGRAM, "callboard", "time")
    for chats in (ag2.CLASSIC, ag2.V1):
        yield from ((*chats.program, side, endpoint) for side in chats.sides if side.endswith("callboard"))


def main() -> None:
    with sink.running() as collector:
        for program in programs(collector.endpoint):
            subprocess.run(program, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
