"""`callboard run`: a program behaves as it does without, and what it did, cost and said is shown on standard error."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import callboard
import pytest
from callboard import SpanContext
from callboard.run import tree as trees
from callboard.run.command import whole_endpoint
from callboard.run.stderr import cut, one_line
from callboard.run.tree import Tree
from harness import PATIENCE_SECONDS, Outcome
from model_server import Answer, ModelServer
from receiver import Receiver

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, forks and terminals are POSIX's here")

PYTHON = [sys.executable]
CALLBOARD = [sys.executable, "-m", "callboard", "run"]

PROGRAMS = {
    "globals": """
        import sys
        print(sorted(globals()), __name__, __file__, __package__, __spec__, __doc__, __loader__.name, __loader__.path)
        print(sys.argv, sys.path, vars(sys.modules["__main__"]) is globals(), sys.excepthook is sys.__excepthook__)
        """,
    "status": "import sys; sys.exit(3)",
    "message": "import sys; sys.exit('the last word')",
    "hard exit": "import os; print('out', flush=True); os._exit(4)",
    "standard input": "import sys; print(sys.stdin.read())",
    "exception": """
        def fail():
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("of the program's own") from error
        fail()
        """,
    "syntax": "def f(:",
    "interrupt": "raise KeyboardInterrupt",
    "hook": """
        import sys, traceback
        def hook(kind, value, trace):
            print(kind, value, traceback.extract_tb(trace), value.__traceback__ is trace)
        sys.excepthook = hook
        raise OSError("seen by the hook")
        """,
    "exception through AG2": """
        import sys, traceback
        from autogen import Agent, ConversableAgent
        from callboard import telemetry_context
        def reply(recipient, messages=None, sender=None, config=None):
            try:
                telemetry_context("no manager")
            except TypeError as error:
                raise ValueError("of the program's own") from error
        def agent(name):
            return ConversableAgent(name, llm_config=False, human_input_mode="NEVER")
        def chat():
            recipient = agent("emma")
            recipient.register_reply([Agent, None], reply)
            agent("jack").initiate_chat(recipient, message="A joke!", silent=True)
        def fail():
            try:
                chat()
            except ValueError as error:
                errors.append(error)
            agent("jack").initiate_chat(agent("emma"), message=lambda *_: {}["missing"], silent=True)
        errors = []
        try:
            fail()
        except KeyError as error:
            errors.append(error)
        if sys.version_info >= (3, 11):
            raise ExceptionGroup("several", errors) from errors[0]
        raise errors[1] from errors[0]
        """,
    "a hook that the program keeps": """
        import atexit, sys
        from autogen import Agent, ConversableAgent
        class Failed(Exception):
            def with_traceback(self, traceback):
                raise RuntimeError("not called")
        def reply(recipient, messages=None, sender=None, config=None):
            raise Failed
        def hook(kind, value, trace):
            names = []
            while trace is not None:
                names.append(trace.tb_frame.f_code.co_name)
                trace = trace.tb_next
            print(names, value.__traceback__.tb_frame.f_code.co_name)
        sys.excepthook = hook
        one, other = (ConversableAgent(name, llm_config=False, human_input_mode="NEVER") for name in "ab")
        one.register_reply([Agent, None], reply)
        other.initiate_chat(one, message="A joke!", silent=True)
        """,
    "exit handlers and threads": """
        import atexit, threading
        atexit.register(print, "at exit")
        def work():
            threading.main_thread().join()
            print("in a thread")
        threading.Thread(target=work).start()
        print("at the end")
        """,
    "tasks": """
        import asyncio
        async def fail():
            await asyncio.sleep(0)
            raise ValueError("in a task")
        async def main():
            print(await asyncio.gather(asyncio.sleep(0, "slept"), fail(), return_exceptions=True))
            await asyncio.gather(fail())
        asyncio.run(main())
        """,
    "workers": """
        import multiprocessing
        print("imported as", __name__)
        def square(number):
            return number * number
        if __name__ == "__main__":
            for method in ("spawn", "forkserver", "fork"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(method, pool.map(square, [1, 2, 3]), flush=True)
        """,
    "fork": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            print("child", flush=True)
            raise ValueError("in the child")
        print("parent", os.waitpid(pid, 0)[1])
        """,
}
"""Each is run by Python and by callboard, and is the same to the last byte."""

CHAT = """
import sys
from autogen import ConversableAgent
def agent(name, **options):
    return ConversableAgent(name, human_input_mode="NEVER", **options)
config = {"config_list": [{"model": "gpt-4o-mini", "base_url": sys.argv[1], "api_key": "none"}]}
agent("jack", llm_config=False, default_auto_reply="Haha").initiate_chat(agent("emma", llm_config=config), message="A joke!", max_turns=1)
"""

TREE = """\
chat.py
└─ chat: jack → emma
   ├─ round 1
   │  └─ invoke_agent emma
   │     ├─ reply_function check_termination_and_human_reply
   │     ├─ reply_function generate_function_call_reply
   │     ├─ reply_function generate_tool_calls_reply
   │     └─ reply_function generate_oai_reply
   │        └─ chat gpt-4o-mini  30 + 20 tokens, $0.000017
   └─ summary: jack → emma
"""

SUMMARY = """
callboard: chat.py ran for
Cost: $0.000017 (1 cost event)

agent            cost    events     tokens in    tokens out
emma        $0.000017         1            30            20

model                  cost    events     tokens in    tokens out
gpt-4o-mini       $0.000017         1            30            20

chat                   cost    events     tokens in    tokens out
jack → emma       $0.000017         1            30            20
"""

DIAGRAM = """\
sequenceDiagram
    participant jack
    participant emma
    jack->>emma: A joke!
    emma->>jack: Knock knock.
"""


def run(command: list[str], *words: str, stdin: str = "", **environment: str) -> Outcome:
    ended = subprocess.run(
        [*command, *words],
        env=given(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def given(environment: dict[str, str]) -> dict[str, str]:
    paths = os.pathsep.join([str(Path(callboard.__file__).parents[1]), *environment.pop("also", "").split()])
    without = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**without, "PYTHONPATH": paths, **environment}


def write(folder: Path, source: str, name: str = "program.py") -> str:
    (folder / name).write_text(textwrap.dedent(source))
    return str(folder / name)


def shape(text: str) -> str:
    """A text without its durations."""
    return re.sub(r" +[\d.]+ m?s\b", "", text)


# ---- the program's own


@posix
@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_a_script_is_the_same_with_and_without(source: str, tmp_path: Path):
    path = write(tmp_path, source)
    arguments = (path, "--tree", "-m", "--", "a b")
    plain = run(PYTHON, *arguments, stdin="typed")
    assert run([*CALLBOARD, "--no-summary"], *arguments, stdin="typed") == plain
    told = run(CALLBOARD, *arguments, stdin="typed")
    assert told[:2] == plain[:2]
    assert told.errors.startswith(plain.errors)
    assert told.errors.count("program.py ran for") == (0 if "os._exit" in source else 1)


@posix
@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_a_module_is_the_same_with_and_without(source: str, tmp_path: Path):
    write(tmp_path, source.replace("__spec__", "__spec__.name"))
    plain = run(PYTHON, "-m", "program", "--tree", stdin="typed", also=str(tmp_path))
    assert run([*CALLBOARD, "--no-summary"], "-m", "program", "--tree", stdin="typed", also=str(tmp_path)) == plain


@pytest.mark.parametrize("words", [["./program.py"], ["folder/../program.py"], ["linked.py"], ["folder"], ["package"]])
@pytest.mark.parametrize("before", [[], ["-I"]], ids=["", "isolated"])
def test_a_program_is_found_where_python_finds_it(words: list[str], before: list[str], tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "import sys; print(__file__, __package__, sys.argv, sys.path[0] if sys.argv[1:] else '')"
    for folder in ("folder", "package", "elsewhere"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, source, "__main__.py")
    (tmp_path / "linked.py").symlink_to(write(tmp_path / "elsewhere", source))
    write(tmp_path, source)
    command = [sys.executable, *before]
    launched = f"import sys; sys.path.insert(0, {str(Path(callboard.__file__).parents[1])!r}); from callboard.__main__ import main; sys.exit(main())"
    if before:
        # As a console script does it, where no PYTHONPATH counts: nothing of the program's stands on the path.
        assert run([*command, "-c", launched, "run"], *words).output == run(command, *words).output
    else:
        assert run(CALLBOARD, *words, "a").output == run(command, *words, "a").output


@pytest.mark.parametrize("words", [["-m", "nowhere"], ["-m", "package"], ["-m", "package.broken"], ["empty"]])
def test_what_cannot_be_run_ends_as_with_python(words: list[str], tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "package").mkdir()
    write(tmp_path / "package", "", "__init__.py")
    write(tmp_path / "package", "import nowhere", "broken.py")
    plain = run(PYTHON, *words)
    assert plain.returncode == 1
    assert run([*CALLBOARD, "--no-summary"], *words) == plain


def signalled(command: list[str], number: int, *words: str) -> Outcome:
    """How a program ends that is sent a signal once it has printed a line."""
    program = subprocess.Popen(
        [*command, *words], env=given({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        first = program.stdout.readline()
        program.send_signal(number)
        output, errors = program.communicate(timeout=4 * PATIENCE_SECONDS)
    finally:
        program.kill()
    return Outcome(program.returncode, first + output, errors)


# They sleep for moments: one that waited in `signal.pause()` would never notice a signal that came just before.
WAITING = {
    "waits": """
        import time
        print("ready", flush=True)
        while True:
            time.sleep(0.1)
        """,
    "awaits": """
        import asyncio
        async def main():
            print("ready", flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
        """,
    "cleans up": """
        import atexit, time
        atexit.register(print, "at exit")
        try:
            print("ready", flush=True)
            while True:
                time.sleep(0.1)
        finally:
            print("finally")
        """,
    "has handlers": """
        import signal, sys, time
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: sys.exit(number + 40))
        print("ready", flush=True)
        while True:
            time.sleep(0.1)
        """,
    "joins a thread": """
        import sys, threading, time
        def wait():
            main = threading.main_thread().ident
            while sys._current_frames()[main].f_code.co_name != "_shutdown":
                time.sleep(0.001)  # until the main thread has come to its end, and waits for this one
            print("ready", flush=True)
            threading.Event().wait()
        threading.Thread(target=wait).start()
        """,
}


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("source", WAITING.values(), ids=WAITING)
def test_a_signal_ends_the_program_as_ever_and_the_summary_is_given(source: str, number: int, tmp_path: Path):
    path = write(tmp_path, source)
    plain = signalled(PYTHON, number, path)
    assert plain.returncode in (-number, number + 40) or "thread" in source
    told = signalled(CALLBOARD, number, path)
    assert told[:2] == plain[:2]
    summary = told.errors.removeprefix(plain.errors) if "thread" not in source else told.errors
    name = {-signal.SIGINT: ", ended by KeyboardInterrupt", -signal.SIGTERM: ", ended by SIGTERM"}
    assert re.search(
        rf"^callboard: program.py ran for [\d.]+ m?s{name.get(told.returncode, '')}", summary, re.MULTILINE
    )


@posix
def test_a_forked_process_dies_of_sigterm_as_ever(tmp_path: Path):
    source = """
        import os, signal, time
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
            os.write(tell, b"x")
            signal.pause()
        os.read(ready, 1)
        os.kill(pid, signal.SIGTERM)
        print(os.waitpid(pid, 0)[1])
        """
    told = run(CALLBOARD, write(tmp_path, source))
    assert (told.output, told.errors.count("ran for")) == ("True\n15\n", 1)


# ---- what is shown


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome, Path, Receiver]:
    """A chat run by Python, and by callboard with everything that it can show."""
    folder = tmp_path_factory.mktemp("chat")
    path = write(folder, CHAT, "chat.py")
    said = {"input_tokens": 30, "output_tokens": 20}
    answers = [Answer("Knock knock.", **said)] * 2
    with ModelServer(answers) as model, Receiver() as receiver:
        plain = run(PYTHON, path, model.base_url)
        options = [
            "--tree",
            "--otlp",
            receiver.endpoint.removesuffix("/v1/traces"),
            "--mermaid",
            str(folder / "chat.mmd"),
        ]
        told = run(CALLBOARD + options, path, model.base_url)
    return plain, told, folder, receiver


def test_the_output_is_the_programs_to_the_last_byte(chat):
    plain, told, _, _ = chat
    assert "Knock knock." in plain.output
    without_chance = [re.sub(r"RUN \([0-9a-f-]+\)", "RUN", outcome.output) for outcome in (plain, told)]
    assert without_chance[0] == without_chance[1]
    assert (plain.returncode, told.returncode) == (0, 0)


def test_the_tree_and_the_summary_are_shown(chat):
    _, told, _, _ = chat
    exported = "\nExported: 10 spans\n"
    assert shape(told.errors) == TREE + SUMMARY + exported


def test_the_diagram_is_in_its_file(chat):
    _, _, folder, _ = chat
    assert (folder / "chat.mmd").read_text() == DIAGRAM


def test_the_trace_is_received(chat):
    _, _, _, receiver = chat
    [root] = [span for span in receiver.spans if not span.parent_id]
    assert (root.name, len(receiver.spans), root.is_error) == ("chat.py", 10, False)


def test_the_environment_says_where_to_export_to(tmp_path: Path):
    with Receiver() as receiver:
        base = receiver.endpoint.removesuffix("/v1/traces")
        path = write(tmp_path, "raise ValueError('of the program')")
        told = run([*CALLBOARD, "--name", "A name"], path, OTEL_EXPORTER_OTLP_ENDPOINT=base)
        disabled = run(CALLBOARD, path, OTEL_EXPORTER_OTLP_ENDPOINT=base, OTEL_SDK_DISABLED="true")
    [root] = receiver.spans
    assert (root.name, root.is_error) == ("A name", True)
    [event] = root.events
    assert event.attributes["exception.message"] == "of the program"
    assert "callboard" not in str(event.attributes["exception.stacktrace"])
    assert re.search("callboard: A name ran for .*, ended by ValueError", told.errors)
    assert told.errors.endswith("\nExported: 1 span\n")
    assert disabled.returncode == 1


def test_what_could_not_be_exported_is_told(tmp_path: Path):
    told = run([*CALLBOARD, "--otlp", "http://127.0.0.1:9"], write(tmp_path, "print('done')"))
    assert told[:2] == (0, "done\n")
    assert "\nExported: 0 spans, 1 dropped\nLast error of the export: " in told.errors


@pytest.mark.parametrize(
    ("endpoint", "protocol", "whole"),
    [
        ("http://localhost:4318", None, "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http", "http://localhost:4318/v1/traces"),
        ("https://collector", "http/json", "https://collector/v1/traces"),
        ("http://localhost:4318/v1/traces", None, "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/proxy/", None, "http://localhost:4318/proxy/"),
        ("http://localhost:4317", "grpc", "http://localhost:4317"),
        ("localhost:4317", "grpc", "localhost:4317"),
        ("localhost:4318", None, "localhost:4318"),
        (None, None, None),
    ],
)
def test_a_base_gets_its_path(endpoint: str | None, protocol: str | None, whole: str | None):
    assert whole_endpoint(endpoint, protocol) == whole


def test_hostile_text_stays_text(tmp_path: Path):
    source = r"""
        from callboard import current_span, get_current_telemetry
        telemetry = get_current_telemetry()
        names = {"ag2.agent.sender": "j\x1b[2Jack", "ag2.agent.recipient": "em\nma"}
        with telemetry.start_span("chat", None, names):
            with telemetry.start_span("kind\x1b]0;title\x07\r\x9b"):
                said = {**names, "ag2.message": "\x1b[31mred\x07", "ag2.silent": False}
                telemetry.record_event("agent_send_msg", said)
                telemetry.record_event("cost", {"ag2.cost": 1, "ag2.agent.name": "\x1b[8m"})
        """
    told = run([*CALLBOARD, "--tree", "--mermaid", "-", "--name", "n\x1bame"], write(tmp_path, source))
    assert told.output == ""
    assert shape(told.errors.split("\n\n")[0]) == (
        "n␛ame\n└─ chat: j␛[2Jack → em␊ma\n   └─ kind␛]0;title␇␍\ufffd  $1.000000"
    )
    assert "sequenceDiagram" in told.errors
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", told.errors)


def test_names_are_cut_to_the_columns_that_they_take():
    assert [cut("comedians", 9), cut("comedians", 5), cut("喜剧演员", 5)] == ["comedians", "come…", "喜剧…"]
    assert one_line("a\u202eb\u2028c") == "a\ufffdb\ufffdc"


def test_the_tree_keeps_so_many_spans_and_counts_the_others(monkeypatch):
    monkeypatch.setattr(trees, "KEPT_SPANS", 4)
    monkeypatch.setattr(trees, "KEPT_DEPTH", 2)
    tree = Tree()
    tree.start_trace("run", "0")
    for number, parent in [("1", "0"), ("2", "1"), ("3", "2"), ("4", "3"), ("5", "0"), ("6", "0")]:
        tree.start_span("step", number, SpanContext("any", core_span_id=parent))
    assert [shape(line) for line in tree.lines()] == [
        "run …",
        "├─ step …",
        "│  └─ step …",
        "└─ step …",
        "and 3 more spans, not kept here",
    ]


def test_a_span_that_says_when_and_how_it_ended_is_believed():
    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(1_000_000 + seconds, timezone.utc)

    tree = Tree()
    tree.start_trace("run", "0")
    for span_id in ("1", "2"):
        tree.start_span("step", span_id, SpanContext("any", core_span_id="0"))
    for span_id, error in [("1", None), ("2", ""), ("0", "refused")]:
        began, ended = at(int(span_id) / 10), at(1 - int(span_id) / 10)
        tree.end_span(SimpleNamespace(core_span_id=span_id, timestamp=began, ended_at=ended, error=error))
    assert [line.split()[-3:] for line in tree.lines()] == [
        ["1.00", "s", "FAILED"],
        ["step", "800", "ms"],
        ["600", "ms", "FAILED"],
    ]


# ---- in a terminal


def read_terminal(terminal: int, until: str | None = None) -> str:
    """What comes to the terminal's other side, until a text is in it or nothing more can come."""
    seen = b""
    while until is None or until.encode() not in seen:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the last one closed it.
            break
        if not more:
            break
        seen += more
    return seen.decode().replace("\r\n", "\n")


STEPS = """
import sys
from callboard import get_current_telemetry
telemetry = get_current_telemetry()
with telemetry.start_span("outer"):
    with telemetry.start_span("inner"):
        print("printed", flush=True)
    sys.stdin.readline()
"""


@posix
@pytest.mark.parametrize("shared", [False, True], ids=["in place", "line by line"])
def test_the_tree_is_drawn_while_the_program_runs(shared: bool, tmp_path: Path):
    import pty

    terminal, side = pty.openpty()
    command = [*CALLBOARD, "--tree", "--no-summary", write(tmp_path, STEPS)]
    environment = {**given({}), "TERM": "xterm"}
    output = side if shared else subprocess.PIPE
    program = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=side)
    os.close(side)
    live = read_terminal(terminal, until="inner")
    assert program.poll() is None
    program.stdin.write(b"\n")
    program.stdin.close()
    rest = read_terminal(terminal)
    assert program.wait(PATIENCE_SECONDS) == 0
    os.close(terminal)
    if program.stdout is not None:
        assert program.stdout.read() == b"printed\n"
        program.stdout.close()
    whole = "program.py\n└─ outer\n   └─ inner\n\n"
    if shared:
        assert "\x1b" not in live + rest
        assert shape(live + rest) == "printed\n      inner\n   outer\nprogram.py\n" + whole
    else:
        assert live.startswith("program.py")
        drawn = re.split(r"\x1b\[\d+F\x1b\[J", live + rest)
        assert len(drawn) > 1
        assert shape(drawn[-1]) == whole


# ---- what goes wrong


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "a command is missing: write callboard run script.py, or see callboard --help"),
        (["serve"], "there is no command 'serve': write callboard run script.py, or see callboard --help"),
        (["run"], "there is no program to run: write callboard run script.py, or callboard run -m module"),
        (["run", "-m"], "there is no program to run: write callboard run script.py, or callboard run -m module"),
        (["run", "--otlp", "here", "x.py"], '"here" (collector_endpoint) is no collector endpoint: it has no scheme'),
        (["run", "--otlp-protocol", "grpc", "x.py"], "add --otlp http://localhost:4318"),
        (["run", "--mermaid", "no/where.mmd", "x.py"], "make it, or name another file"),
        (["run", "--mermaid", ".", "x.py"], "that is a folder: name a file, such as ./chat.mmd"),
        (["run", "--tre", "x.py"], "unrecognized arguments: --tre"),
        (["run", "away.py"], "callboard: can't open file '{folder}/away.py': [Errno 2] No such file or directory"),
    ],
)
def test_a_command_that_cannot_be_followed_names_the_fix(words: list[str], told: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "print('began')", "x.py")
    outcome = run([*PYTHON, "-m", "callboard"], *words)
    assert outcome[:2] == (2, "")
    assert told.format(folder=tmp_path) in outcome.errors


def test_help_teaches():
    assert "callboard run script.py" in run([*PYTHON, "-m", "callboard"], "--help").output
    told = run(CALLBOARD, "--help").output
    options = ["--name", "--otlp", "--otlp-protocol", "--mermaid", "--tree", "--no-summary", "-m module", "examples:"]
    assert [option for option in options if option not in told] == []


def test_telemetry_that_fails_is_one_warning_and_the_program_runs(tmp_path: Path):
    path = write(tmp_path, "import sys; print('done'); sys.exit(3)")
    prices = run(CALLBOARD, path, CALLBOARD_PRICES=str(tmp_path / "away.json"))
    endpoint = run([*CALLBOARD, "--no-summary"], path, OTEL_EXPORTER_OTLP_ENDPOINT="nowhere")
    for outcome in (prices, endpoint):
        assert outcome[:2] == (3, "done\n")
        assert len(outcome.errors.splitlines()) == 1
    assert prices.errors.startswith("callboard: the program runs without telemetry: ")
    assert endpoint.errors.startswith("callboard: nothing is exported: ")


def test_a_diagram_that_cannot_be_written_is_one_warning(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(tmp_path, f"import os; os.chdir('/'); os.rmdir({str(folder)!r})")
    outcome = run([*CALLBOARD, "--no-summary", "--mermaid", str(folder / "chat.mmd")], path)
    assert outcome[:2] == (0, "")
    assert outcome.errors.startswith("callboard: the diagram could not be written to ")
    assert len(outcome.errors.splitlines()) == 1


@posix
@pytest.mark.parametrize(
    "source", ["sys.stderr.close()", "os.close(2)", "sys.stderr = None", "sys.stderr = open(os.devnull)"]
)
def test_a_program_without_standard_error_ends_as_ever(source: str, tmp_path: Path):
    path = write(tmp_path, f"import os, sys; {source}; print('done')")
    plain, told = run(PYTHON, path), run([*CALLBOARD, "--tree"], path)
    assert told[:2] == plain[:2]


def test_importing_callboard_imports_nothing_of_this():
    asked = (
        "import sys, callboard; print([name for name in sys.modules if 'callboard.run' in name or name == 'argparse'])"
    )
    assert run([*PYTHON, "-c"], asked).output == "[]\n"
