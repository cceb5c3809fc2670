"""The command line of `callboard run`: what is asked for, checked before the program begins."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import NamedTuple

from callboard import OpenTelemetryProvider

from . import program
from .stderr import Stderr
from .watch import Watch

ABOUT = """\
Run a Python program as it is, watch the agents in it, and say at the end, on standard error, what they cost.
The program's output, its exit status and its exceptions are those that it has without callboard.
"""

EXAMPLES = """\
examples:
  callboard run script.py --an-option-of-the-script
  callboard run --tree -m package.module
  callboard run --otlp http://localhost:4318 --mermaid chat.mmd script.py

Options of callboard stand before the program, everything after it is the program's.
With OTEL_EXPORTER_OTLP_ENDPOINT set, the trace is exported there, without --otlp too.
"""

WITH_VALUE = ("--name", "--otlp", "--otlp-protocol", "--mermaid")
"""The options whose value is the next word."""

PROTOCOLS = ("http", "http/json", "grpc")
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Options(NamedTuple):
    """What is asked for."""

    program: program.Program
    name: str
    """The workflow's."""
    mermaid: str = ""
    """The file that the diagram goes to, an absolute path; "-" is standard error, "" is none."""
    tree: bool = False
    summary: bool = True


def main(arguments: list[str]) -> None:
    """Run the program that the arguments name. What it raises passes, `SystemExit` included.

    Raises:
        SystemExit: with 2, where the program cannot begin; the message says why.

    """
    parser = make_parser()
    given, words = parse(arguments, parser)
    found = find_program(words, parser)
    stderr = Stderr(sys.stderr)
    mermaid = checked_file(given.mermaid, parser) if given.mermaid else ""
    options = Options(found, given.name or found.name, mermaid, given.tree, given.summary)
    exporter = make_exporter(given.otlp, given.otlp_protocol, parser, stderr)
    watch = begin_to_watch(options, exporter, stderr)
    try:
        program.run(options.program)
    except BaseException as error:
        if watch is not None and not (isinstance(error, SystemExit) and not error.code):
            watch.failed(error)
        raise


def make_parser() -> ArgumentParser:
    """What the command takes."""
    parser = ArgumentParser(
        prog="callboard run",
        usage="callboard run [options] (script.py | -m module) [arguments of the program …]",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    option = parser.add_argument
    option("--name", help="what the run is called in the trace; else the script's file name, or the module's")
    option("--otlp", metavar="URL", help="export the trace to this OpenTelemetry collector, http://localhost:4318 say")
    option("--otlp-protocol", choices=PROTOCOLS, help="how; http unless you say otherwise")
    option("--mermaid", metavar="FILE", help="write who said what to whom into this file at the end; - shows it")
    option("--tree", action="store_true", help="show the run as a tree of its spans, while it runs if in a terminal")
    option("--no-summary", dest="summary", action="store_false", help="say nothing of costs at the end")
    return parser


def parse(arguments: list[str], parser: ArgumentParser) -> tuple[Namespace, list[str]]:
    """Our options, and from the program on everything as it stands: no parser sees it."""
    at = 0
    while at < len(arguments) and arguments[at][:1] == "-" and arguments[at] not in ("-", "--", "-m"):
        at += 2 if arguments[at] in WITH_VALUE else 1
    return parser.parse_args(arguments[:at]), arguments[at:]


def find_program(words: list[str], parser: ArgumentParser) -> program.Program:
    """The program that the words name. Where a file cannot be read, the process ends as Python's does."""
    if words[:1] == ["-m"] and len(words) > 1:
        return program.module(words[1], words[2:])
    if words[:1] == ["--"]:
        words = words[1:]
    if not words or words[0] == "-m":
        parser.error("there is no program to run: write callboard run script.py, or callboard run -m module")
    try:
        return program.script(words[0], words[1:])
    except OSError as error:
        path = os.path.join(os.getcwd(), words[0])
        parser.exit(2, f"callboard: can't open file {path!r}: [Errno {error.errno}] {error.strerror}\n")


def checked_file(path: str, parser: ArgumentParser) -> str:
    """The diagram's file as an absolute path, as the program may go elsewhere."""
    if path == "-":
        return path
    whole = os.path.abspath(path)
    folder = os.path.dirname(whole)
    if not os.path.isdir(folder):
        parser.error(f"--mermaid {path}: there is no folder {folder}: make it, or name another file")
    if os.path.isdir(whole):
        parser.error(f"--mermaid {path}: that is a folder: name a file, such as {os.path.join(path, 'chat.mmd')}")
    return whole


def make_exporter(
    endpoint: str | None, protocol: str | None, parser: ArgumentParser, stderr: Stderr
) -> OpenTelemetryProvider | None:
    """The exporter that was asked for, by an option or by the environment."""
    is_wanted = endpoint or any(os.environ.get(name) for name in ENDPOINT_VARIABLES)
    if not is_wanted:
        if protocol:
            parser.error("--otlp-protocol says how, not where to: add --otlp http://localhost:4318")
        return None
    try:
        return OpenTelemetryProvider(whole_endpoint(endpoint, protocol), protocol=protocol)
    except ValueError as error:
        if endpoint:
            parser.error(f"--otlp: {error}")
        stderr.tell(f"callboard: nothing is exported: {error}")
        return None


def whole_endpoint(endpoint: str | None, protocol: str | None) -> str | None:
    """The endpoint with `/v1/traces` where it is only a base, for http."""
    if endpoint is None:
        return None
    told = [protocol, *(os.environ.get(name) for name in PROTOCOL_VARIABLES)]
    _, separator, rest = endpoint.partition("://")
    is_base = separator and rest and not any(character in rest.rstrip("/") for character in "/?#")
    if is_base and next(filter(None, told), "http") != "grpc":
        return f"{endpoint.rstrip('/')}/v1/traces"
    return endpoint


def begin_to_watch(options: Options, exporter: OpenTelemetryProvider | None, stderr: Stderr) -> Watch | None:
    """Whatever fails in it, the program runs."""
    try:
        watch = Watch(options, exporter, stderr)
        watch.begin()
    except Exception as error:
        stderr.tell(f"callboard: the program runs without telemetry: {error}")
        return None
    return watch
