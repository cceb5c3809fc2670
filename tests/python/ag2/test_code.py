"""Code that agents run: by an executor of AG2's or of the program's, by the agent itself, and code that fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import callboard
import pytest
from autogen import ConversableAgent
from autogen.coding import CodeBlock, CodeResult, LocalCommandLineCodeExecutor, MarkdownCodeExtractor
from conftest import speaker, untraced
from receiver import Receiver, decode
from test_chat import MODES, chat, tree

TASK = """Run this:
```python
print("one")
```
then
```sh
echo two
```
"""
FAILING = "```python\nraise LookupError('lost')\n```"
SILENT = "```sh\nexit 1\n```"


@pytest.fixture(autouse=True)
def this_python_on_the_path(monkeypatch):
    """AG2's executor runs whichever `python` it finds; not every machine has one of that name."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def with_executor(folder):
    return {"executor": LocalCommandLineCodeExecutor(work_dir=folder)}


def by_itself(folder):
    return {"use_docker": False, "work_dir": str(folder)}


WAYS = (with_executor, by_itself)
FUNCTIONS = {
    with_executor: "_generate_code_execution_reply_using_executor",
    by_itself: "generate_code_execution_reply",
}
SAID = {with_executor: "one / two", by_itself: " / one /  / two"}


def runner(configuration, kind=ConversableAgent):
    return kind(
        "runner",
        llm_config=False,
        human_input_mode="NEVER",
        code_execution_config=configuration,
        default_auto_reply="Nothing.",
    )


class Own:
    """An executor of the program's own, which shares nothing with AG2's but the protocol."""

    code_extractor = MarkdownCodeExtractor()

    def __init__(self, error=None):
        self.blocks = []
        self.error = error

    def execute_code_blocks(self, code_blocks):
        self.blocks.extend(code_blocks)
        callboard.current_span().record_event("running")
        if self.error is not None:
            raise self.error
        return CodeResult(exit_code=0, output="done")

    def restart(self):
        pass


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES)
async def test_code_that_succeeds(mode, way, recorder, traced, tmp_path):
    with traced():
        writer, agent = speaker("writer", None), runner(way(tmp_path))
        await chat(writer, agent, mode, message=TASK, max_turns=1, summary_method=None)
        await chat(writer, agent, mode, message="Nothing to run.", max_turns=1, summary_method=None)

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print", "agent_creation", "agent_send_msg") == tree(f"""
        workflow
          chat {a}initiate_chat writer -> runner
            round 1 of 1
              reply runner {a}generate_reply: exitcode: 0 (execution succeeded) / Code output: {SAID[way]}
                reply_function {FUNCTIONS[way]}
                  code_execution python sh by runner: 0
          chat {a}initiate_chat writer -> runner
            round 1 of 1
              reply runner {a}generate_reply: Nothing.
    """)


@pytest.mark.parametrize("way", WAYS)
def test_what_an_execution_records(way, recorder, traced, tmp_path):
    with traced():
        runner(way(tmp_path)).generate_reply(messages=[{"role": "user", "content": TASK}])
    assert recorder.root.only("code_execution").attributes == {
        "gen_ai.agent.name": "runner",
        "ag2.code_execution.language": ["python", "sh"],
        "ag2.code_execution.code": ['print("one")', "echo two"],
        "ag2.code_execution.exit_code": 0,
        "ag2.code_execution.output": "one\ntwo\n" if way is with_executor else "\none\n\ntwo\n",
    }


def failures(program):
    """The spans that a collector is told failed: their kind and the message of their status."""

    found = []

    class Statuses(Receiver):
        def take(self, request):
            spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
            for span, read in zip(spans, decode(request), strict=True):
                if read.is_error:
                    found.append((read.attributes["ag2.span.type"], span.status.message))

    manager = callboard.InstrumentationManager()
    with Statuses() as receiver:
        exporter = callboard.OpenTelemetryProvider(collector_endpoint=receiver.endpoint, service_name="test")
        manager.register_provider(exporter)
        with callboard.telemetry_context(manager, "Test"):
            program()
        assert manager.flush(10)
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("text", "message"),
    [(FAILING, "LookupError: lost"), (SILENT, "exit code 1"), (TASK, None)],
    ids=["failing", "silent", "succeeding"],
)
def test_failing_code_is_an_error_and_nothing_around_it_is(text, message, way, tmp_path):
    failed = failures(lambda: runner(way(tmp_path)).generate_reply(messages=[{"role": "user", "content": text}]))
    assert failed == ([] if message is None else [("code_execution", message)])


def test_an_executor_of_the_programs_own(recorder, traced):
    own = Own()
    agent = runner({"executor": own})
    with traced():
        reply = agent.generate_reply(messages=[{"role": "user", "content": TASK}])
        assert agent.code_executor is own is agent._code_executor
        assert own.execute_code_blocks.__func__ is Own.execute_code_blocks
    assert reply == "exitcode: 0 (execution succeeded)\nCode output: done"
    assert [block.language for block in own.blocks] == ["python", "sh"]
    execution = recorder.root.only("code_execution")
    assert execution.events == [("running", {})]
    assert execution["ag2.code_execution.output"] == "done"


def test_an_executor_that_is_only_shaped_like_one(recorder, traced):
    """Neither a class of executors nor a method: whatever can be called."""
    executor = SimpleNamespace(
        code_extractor=MarkdownCodeExtractor(),
        execute_code_blocks=lambda code_blocks: CodeResult(exit_code=2, output="a\nb"),
    )
    agent = runner(False)
    agent._code_executor, agent._code_execution_config = executor, {"executor": executor}
    with traced():
        reply = agent._generate_code_execution_reply_using_executor(messages=[{"role": "user", "content": TASK}])
    assert reply == (True, "exitcode: 2 (execution failed)\nCode output: a\nb")
    assert recorder.root.only("code_execution")["ag2.code_execution.exit_code"] == 2


def test_one_executor_of_two_agents(recorder, traced):
    own = Own()
    first, second = runner({"executor": own}), runner({"executor": own})
    second._name = "second"
    with traced():
        first.generate_reply(messages=[{"role": "user", "content": TASK}])
        second.generate_reply(messages=[{"role": "user", "content": TASK}])
    assert [one["gen_ai.agent.name"] for one in recorder.root.all("code_execution")] == ["runner", "second"]


def test_an_executor_that_raises(recorder, traced):
    error = OSError("no disk")
    with traced():
        agent = runner({"executor": Own(error)})
        with pytest.raises(OSError) as raised:
            agent.generate_reply(messages=[{"role": "user", "content": TASK}])
    assert raised.value is error
    assert recorder.root.only("code_execution").error == "OSError: no disk"


def test_overrides_that_call_what_they_override(recorder, traced, tmp_path):
    class Careful(ConversableAgent):
        def execute_code_blocks(self, code_blocks):
            return super().execute_code_blocks(code_blocks)

        def run_code(self, code, **kwargs):
            return super().run_code(code, **kwargs)

    with traced():
        agent = runner(by_itself(tmp_path), Careful)
        agent.generate_reply(messages=[{"role": "user", "content": TASK}])
    assert recorder.root.only("code_execution")["ag2.code_execution.exit_code"] == 0


def test_code_that_a_program_has_run(recorder, traced, tmp_path):
    with traced():
        agent = runner(by_itself(tmp_path))
        exit_code, output, _ = agent.run_code("echo hello", lang="sh", **agent._code_execution_config)
        agent.execute_code_blocks([("", "print(1)")])
    assert (exit_code, output) == (0, "hello\n")
    direct, guessed = recorder.root.all("code_execution")
    assert (direct["ag2.code_execution.language"], direct["ag2.code_execution.code"]) == (["sh"], ["echo hello"])
    assert guessed["ag2.code_execution.language"] == ["python"]


def test_a_language_that_nobody_can_run(recorder, traced, tmp_path):
    with traced():
        runner(by_itself(tmp_path)).execute_code_blocks([("cobol", "STOP RUN.")])
    execution = recorder.root.only("code_execution")
    assert execution["ag2.code_execution.exit_code"] == 1
    assert execution["ag2.code_execution.output"] == "\nunknown language cobol"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES)
async def test_the_program_is_the_same_without_callboard(mode, way, traced, tmp_path, console):
    outcomes = []
    for context in (untraced, traced):
        with context():
            writer, agent = speaker("writer", None), runner(way(tmp_path))
            result = await chat(writer, agent, mode, message=TASK + FAILING, max_turns=1)
        printed = [line for line in console.readouterr().out.splitlines() if "TERMINATING RUN" not in line]
        outcomes.append((result.chat_history, result.summary, printed))
    assert outcomes[0] == outcomes[1]
    assert "LookupError: lost" in outcomes[0][1]


def test_agents_are_left_as_they_were():
    own = Own()
    agent = runner({"executor": own})
    before = dict(vars(agent))
    callboard.instrument_ag2()
    assert "_code_executor" in vars(ConversableAgent)
    assert vars(agent) == before
    assert agent.code_executor is own
    assert runner(False).code_executor is None
    made_meanwhile = runner({"executor": own})
    with pytest.raises(AttributeError, match="'ConversableAgent' object has no attribute '_code_executor'"):
        _ = runner(False)._code_executor
    callboard.uninstrument_ag2()
    assert "_code_executor" not in vars(ConversableAgent)
    assert agent.code_executor is made_meanwhile.code_executor is own


def test_without_a_run_the_executor_is_called_straight(tmp_path):
    callboard.instrument_ag2()
    try:
        executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
        assert executor.execute_code_blocks([CodeBlock(language="sh", code="echo hi")]).output == "hi\n"
        reply = runner(with_executor(tmp_path)).generate_reply(messages=[{"role": "user", "content": TASK}])
    finally:
        callboard.uninstrument_ag2()
    assert reply == "exitcode: 0 (execution succeeded)\nCode output: one\ntwo\n"
