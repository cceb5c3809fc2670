"""The machine that is measured on, and programs run on it in turn."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

TICKS = os.sysconf("SC_CLK_TCK")
MOST_DISTURBED = 0.05
"""A run during which other programs took more of the machine than this is made again."""
ATTEMPTS = 4
UNCERTAIN_SECONDS = 2 / TICKS
"""The kernel counts in ticks: less than this is not told from nothing."""


class Beside(Protocol):
    """A process of ours that runs beside the programs."""

    def cpu_seconds(self) -> float:
        """What it has taken of the CPU so far."""

    def take_counts(self) -> dict[str, int]:
        """What it counted since the last call."""


class Run(NamedTuple):
    """One run of a program."""

    said: Any
    """What the program printed: one line of JSON."""
    disturbed: float
    """The share of the machine that other programs took meanwhile."""
    received: dict[str, int]
    """What the process beside it counted."""


_disturbed: list[float] = []
"""What other programs took, of each run that is kept."""


def in_turn(
    programs: Mapping[str, Sequence[str]], repeats: int, beside: Beside | None = None, *, write: bool = False
) -> dict[str, list[Run]]:
    """Runs the programs in turn, A B A B, so that whatever drifts meets them alike.

    In a round all hash alike: the order in which Python walks through sets changes what a program takes.
    Where they `write` to the disk, the kernel's work for that looks like another program's, so they run once.
    """
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    for round_number in range(repeats):
        for name, command in programs.items():
            attempts: list[Run] = []
            most = 1 if write else ATTEMPTS
            while not attempts or (len(attempts) < most and attempts[-1].disturbed > MOST_DISTURBED):
                attempts.append(_run(command, beside, str(round_number)))
            runs[name].append(min(attempts, key=lambda run: run.disturbed))
            if not write:
                _disturbed.append(runs[name][-1].disturbed)
    return runs


def describe() -> str:
    """What a reader has to know to compare figures: the machine and the interpreter."""
    models = (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores of {next(models, platform.machine())}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def disturbance() -> str:
    """How far the figures are to be trusted."""
    worst = max(_disturbed, default=0.0)
    disturbed = sum(share > MOST_DISTURBED for share in _disturbed)
    if not disturbed:
        return f"The machine was quiet: other programs took {worst:.0%} of it at the most while a run lasted."
    return (
        f"The machine was not quiet: during {disturbed} of {len(_disturbed)} runs other programs took more than "
        f"{MOST_DISTURBED:.0%} of it, at the worst {worst:.0%}. Measure again."
    )


def cpu_seconds(process: int) -> float:
    """What a process has taken of the CPU so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _run(command: Sequence[str], beside: Beside | None, hash_seed: str) -> Run:
    began, others = time.monotonic(), _others_seconds(beside)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    if finished.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    others = _others_seconds(beside) - others - UNCERTAIN_SECONDS
    disturbed = max(0.0, others / ((time.monotonic() - began) * (os.cpu_count() or 1)))
    said = json.loads(finished.stdout.splitlines()[-1])
    return Run(said, disturbed, beside.take_counts() if beside else {})


def _others_seconds(beside: Beside | None) -> float:
    """What other programs have taken of the CPU so far; to be asked while none of ours runs, but the one beside."""
    return _busy_seconds() - _our_seconds(beside)


def _our_seconds(beside: Beside | None) -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + (beside.cpu_seconds() if beside else 0.0)


def _busy_seconds() -> float:
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts = _lines("/proc/stat")[0].split()[1:8]
    return sum(map(int, (user, nice, system, interrupts, soft_interrupts))) / TICKS


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
