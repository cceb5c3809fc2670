"""The command `callboard`, also as ``python -m callboard``: finds the sub-command and hands it the rest of the line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from . import __version__

ABOUT = """\
Telemetry for teams of LLM agents: what each did, what it cost, and who said what to whom.

commands:
  run    run a Python program as it is, watch its agents, and say at the end what they cost

    callboard run script.py
    callboard run --help
"""


def main() -> int | None:
    """Run the command that the process was started with; what it returns is the exit status, None being 0."""
    if sys.argv[1:2] == ["run"]:
        from .run.command import main as run  # here, as no other command needs it

        run(sys.argv[2:])
        return None
    parser = ArgumentParser(
        prog="callboard",
        usage="callboard COMMAND …",
        description=ABOUT,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"callboard {__version__}")
    _, rest = parser.parse_known_args()
    what = f"there is no command {rest[0]!r}" if rest else "a command is missing"
    parser.error(f"{what}: write callboard run script.py, or see callboard --help")


if __name__ == "__main__":
    sys.exit(main())
