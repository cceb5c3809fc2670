"""What reaches a program from outside while callboard's hooks are at work: signals, and exceptions that threads send."""

from __future__ import annotations

import os
import signal

import pytest
from conftest import AG2_VERSION
from harness import PRELUDE, run_program

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that send signals")

CHATS = (
    PRELUDE
    + """
import contextlib, ctypes, functools, io, random, signal, time
from autogen import Agent, ConversableAgent
logging.disable(logging.INFO)
logged = []
class Handler(logging.Handler):
    def emit(self, record): logged.append(record.getMessage())
logging.getLogger("callboard").addHandler(Handler())
def speaker(name):
    agent = ConversableAgent(name, llm_config=False, human_input_mode="NEVER")
    agent.register_reply([Agent, None], lambda recipient, messages=None, sender=None, config=None: (True, "x"))
    return agent
jack, emma = speaker("jack"), speaker("emma")
def chat():
    with contextlib.redirect_stdout(io.StringIO()):
        jack.initiate_chat(emma, message="m", max_turns=2, silent=True)
class Late(Exception): pass
class Told(Exception):
    def __init__(self): super().__init__("too long", 3)
random.seed(5)
manager, recorder = recorded()
"""
)

STARTED = ("thread",) if AG2_VERSION < (0, 13) else ("run", "thread")
"""How a daemon thread comes to be in a chat; the threads of AG2's `run` were no daemons before."""

TIMES = 60
"""How often each is interrupted. A hook is at work in about every fifth moment."""


@pytest.mark.parametrize(
    ("handler", "raised"),
    [
        ("lambda *given: throw(Late('time is up'))", "Late"),
        ("functools.partial(lambda extra, number, frame: throw(Late()), 1)", "Late"),
        ("Alarm().ring", "Late"),
        ("Alarm()", "Late"),
        ("once", "Late"),
        ("lambda number, frame: throw(KeyError('not there'))", "KeyError"),
        ("lambda number, frame: sys.exit(3)", "SystemExit"),
        ("lambda number, frame: throw(KeyboardInterrupt())", "KeyboardInterrupt"),
    ],
)
def test_what_a_signal_handler_raises_reaches_the_program(handler: str, raised: str) -> None:
    """Whatever the handler is, and whatever it raises: each time, and the log has nothing."""
    outcome = run_program(
        f"""
        caught = 0
        def throw(error):
            raise error
        class Alarm:
            def ring(self, number, frame): throw(Late())
            def __call__(self, number, frame): throw(Late())
        def once(number, frame):
            signal.signal(signal.SIGALRM, signal.SIG_IGN)  # As libraries that time out put back what was before.
            throw(Late())
        with telemetry_context(manager):
            for _ in range({TIMES}):
                signal.signal(signal.SIGALRM, {handler})
                until = time.monotonic() + 5
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.004))
                    while time.monotonic() < until:
                        chat()
                except {raised}:
                    caught += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        tell(caught, logged)
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [[TIMES, []]]


def test_a_handlers_exception_passes_every_line_of_callboards() -> None:
    """The handler runs at one line of callboard's after another; it raises what code there may catch for itself."""
    outcome = run_program(
        """
        import autogen, callboard
        from pathlib import Path
        OURS = str(Path(callboard.__file__).parent)
        class Awkward(KeyError, IndexError, TypeError, ValueError, NotImplementedError, AttributeError): pass
        def handler(number, frame):
            raise Awkward("now")
        signal.signal(signal.SIGALRM, handler)
        picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,é"}}]}
        emma._code_executor = autogen.coding.LocalCommandLineCodeExecutor()
        emma.register_reply([Agent, None], ConversableAgent._generate_code_execution_reply_using_executor)
        emma._code_execution_config = {"last_n_messages": 1}
        def group():
            talk = autogen.GroupChat([jack, emma], [], max_round=2, speaker_selection_method="round_robin")
            manager = autogen.GroupChatManager(talk, llm_config=False)
            with contextlib.redirect_stdout(io.StringIO()):
                jack.initiate_chat(emma, message=picture, max_turns=1, silent=True)
                jack.initiate_chat(manager, message="m", silent=True)
        lines, rung, passed = 0, set(), 0
        def trace(frame, event, argument):
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            return at_line
        def at_line(frame, event, argument):
            global lines
            if event == "line":
                lines += 1
                if lines == at:
                    rung.add((frame.f_code, frame.f_lineno))
                    signal.raise_signal(signal.SIGALRM)
            return at_line
        with telemetry_context(manager):
            group()
            at = 0
            while lines == at or not at:
                at, lines = at + 1, 0
                sys.settrace(trace)
                try:
                    group()
                except Awkward:
                    passed += 1
                finally:
                    sys.settrace(None)
        tell(passed == at - 1, len(rung) > 100, logged)
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [[True, True, []]]


@pytest.mark.parametrize("sent", ["Late", "Told", "Exception", "TimeoutError", "SystemExit"])
@pytest.mark.parametrize("where", ["main", "other"])
def test_what_another_thread_sends_reaches_the_program(sent: str, where: str) -> None:
    outcome = run_program(
        f"""
        caught = 0
        begin, over = threading.Event(), threading.Event()
        def send():
            while begin.wait(10) and not over.is_set():
                begin.clear()
                time.sleep(random.uniform(0.0002, 0.004))
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(receiver), ctypes.py_object({sent}))
        def work():
            global caught, receiver
            receiver = threading.get_ident()
            threading.Thread(target=send).start()
            for _ in range({TIMES}):
                until = time.monotonic() + 5
                begin.set()
                try:
                    while time.monotonic() < until:
                        chat()
                except {sent}:
                    caught += 1
            over.set()
            begin.set()
        with telemetry_context(manager):
            if {where!r} == "main":
                work()
            else:
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
        tell(caught, logged)
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [[TIMES, []]]


def test_one_interrupt_calls_the_handler_once() -> None:
    outcome = run_program(
        f"""
        class Slow:
            def __str__(self):
                signal.raise_signal(signal.SIGINT)
                return "x"
        calls = []
        def handler(number, frame):
            calls.append(number)
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        with telemetry_context(manager):
            for count in range(1, {TIMES}):
                try:
                    manager.record_event("told", {{"k": Slow()}})
                    for _ in range(1000):
                        pass
                except KeyboardInterrupt:
                    assert len(calls) == count, calls
        tell(len(calls))
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [TIMES - 1]


def test_after_an_interrupt_the_next_chat_is_recorded_where_it_belongs() -> None:
    """Whatever moment a signal hits, no span and no scope of the chat that it ended stays current."""
    outcome = run_program(
        f"""
        def ring(number, frame):
            raise Late
        signal.signal(signal.SIGALRM, ring)
        wrong = 0
        with telemetry_context(manager):
            root = current_span()
            for _ in range({TIMES}):
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.004))
                    while True:
                        chat()
                except Late:
                    pass
                wrong += current_span() is not root
        manager.flush()
        chats = [call for call in recorder.named("start_span") if call.given["kind"] == SpanKind.CHAT]
        wrong += sum(call.given["parent"].core_span_id != root.core_span_id for call in chats)
        tell(wrong, len(chats) > {TIMES})
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [[0, True]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(("ending", "status"), [("", 0), ("sys.exit(7)", 7), ("raise ValueError('mine')", 1)])
def test_a_daemon_thread_in_a_chat_as_the_interpreter_ends(ending: str, status: int) -> None:
    """AG2's `run` starts such threads. The process ends as it does without callboard."""
    outcome = run_program(
        f"""
        def ends(watched, started, wait):
            def answer(recipient, messages=None, sender=None, config=None):
                time.sleep(wait) if wait else None
                return True, "again"
            for agent in (jack, emma):
                agent.register_reply([Agent, None], answer)
            with telemetry_context(InstrumentationManager()) if watched else contextlib.nullcontext():
                if started == "run":
                    jack.run(emma, message="hi", max_turns=100000, silent=True)
                else:
                    chat = lambda: jack.initiate_chat(emma, message="hi", max_turns=100000, silent=True)
                    threading.Thread(target=chat, daemon=True).start()
                time.sleep(0.05)
            {ending}
        for watched in (False, True, True):
            for started in {STARTED}:
                for wait in (0.005, 0):
                    pid = os.fork()
                    if pid == 0:
                        with open(os.devnull, "w") as nowhere:
                            os.dup2(nowhere.fileno(), 1)
                            os.dup2(nowhere.fileno(), 2)
                        ends(watched, started, wait)
                        sys.exit(0)
                    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    tell(status)
        """,
        prelude=CHATS,
    )
    assert outcome.lines() == [status] * (6 * len(STARTED))


def test_a_greenlet_in_a_reply_as_another_one_leaves_the_last_run() -> None:
    pytest.importorskip("gevent", reason="gevent is not installed here")
    source = """
from gevent import monkey; monkey.patch_all()
import contextlib, io, sys, time, warnings
warnings.simplefilter("error", RuntimeWarning)
import gevent
from autogen import Agent, ConversableAgent
def speaker(name):
    agent = ConversableAgent(name, llm_config=False, human_input_mode="NEVER")
    def look(messages):
        time.sleep(0.05)
        return messages
    agent.register_hook("process_all_messages_before_reply", look)
    agent.register_reply([Agent, None], lambda recipient, messages=None, sender=None, config=None: (True, name))
    return agent
if sys.argv[1] == "watched":
    from callboard import InstrumentationManager, telemetry_context
    manager = InstrumentationManager()
    context = lambda: telemetry_context(manager)
else:
    context = contextlib.nullcontext
def leave():
    with context():
        gevent.sleep(0.03)
def chat():
    result = speaker("jack").initiate_chat(speaker("emma"), message="hi", max_turns=2, silent=True)
    return [message["content"] for message in result.chat_history]
with contextlib.redirect_stdout(io.StringIO()):
    first = gevent.spawn(leave)
    gevent.sleep(0.01)
    second = gevent.spawn(chat)
    gevent.joinall([first, second], raise_error=True)
print(second.value)
"""
    outcomes = [run_program(source, how, prelude="") for how in ("bare", "watched")]
    assert outcomes[1].output == outcomes[0].output == "['hi', 'emma', 'jack', 'emma']\n"
