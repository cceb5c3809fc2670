"""Code that an agent runs: `code_execution`, from the first block to the last.

AG2 runs code in one of two ways, and the span is around what both end in, not around the reply function, which
mostly finds nothing to run:

    an executor in the configuration    agent._code_executor.execute_code_blocks(blocks)
    otherwise                           agent.execute_code_blocks(blocks), which calls agent.run_code block by block

An executor may be any object, of the program's own class too, and may serve several agents. So it is left alone:
while AG2's reply function reads the agent's executor, and only then, it sees one whose execution is watched.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from callboard import SpanContext, SpanKind

from . import keys
from .agents import AGENT, internal, name_of
from .patching import Patches, Steps, watched
from .scope import Scope, current, here, innermost
from .views import ViewedAttribute

REPLIES = "_generate_code_execution_reply_using_executor"


def install(patches: Patches) -> None:
    """Watch code being run by an agent itself, and by the executor that it has."""
    patches.watch(f"{AGENT}.execute_code_blocks", blocks_run, overrides=True)
    patches.watch(f"{AGENT}.run_code", code_run, overrides=True)
    patches.add(f"{AGENT}._code_executor", lambda owner: CodeExecutor(owner, patches))


class CodeExecution(Scope):
    """Code being run for an agent."""

    __slots__ = ()


def blocks_run(function: str, agent: Any, /, code_blocks: Any, *args: Any, **kwargs: Any) -> Steps:
    """code_execution of the blocks of a message, which AG2 runs until one fails."""
    span = _begin(agent, [_language_and_code(block) for block in code_blocks])
    if span is not None:
        result, error = yield span
        if error is None:
            _record(span, result)


def code_run(function: str, agent: Any, /, code: Any, *args: Any, **kwargs: Any) -> Steps:
    """code_execution of one text, where a program or an agent of another class runs it directly."""
    span = _begin(agent, [(kwargs.get("lang") or "python", code)])
    if span is not None:
        result, error = yield span
        if error is None:
            _record(span, result)


def _begin(agent: Any, blocks: list[tuple[Any, Any]]) -> SpanContext | None:
    """Open the span; None where no run is current, or where this is part of what is being watched already."""
    outer = innermost(CodeExecution)
    if outer is not None and outer.agent is agent:
        return None
    parent = here()
    if parent is None:
        return None
    span = parent.start_child(
        SpanKind.CODE_EXECUTION,
        {
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.CODE_LANGUAGE: [language for language, _ in blocks],
            keys.CODE: [code for _, code in blocks],
            **internal(agent),
        },
    )
    current.set(CodeExecution(span, agent))
    return span


def _record(span: SpanContext, result: Any) -> None:
    """Record how it went. Executors tell it as an object, AG2's own methods as a tuple."""
    exit_code, output = (result.exit_code, result.output) if hasattr(result, "exit_code") else result[:2]
    span.set_attributes({keys.CODE_EXIT_CODE: exit_code, keys.CODE_OUTPUT: output})
    if exit_code:
        said = str(output).strip().splitlines()
        span.set_error(said[-1] if said else f"exit code {exit_code}")


def _language_and_code(block: Any) -> tuple[Any, Any]:
    """Read a block: an object with both, or a pair whose language AG2 guesses where the message names none."""
    if hasattr(block, "code"):
        return getattr(block, "language", None), block.code
    language, code = block
    return language or sys.modules["autogen.code_utils"].infer_lang(code), code


class _Executor:
    """An executor as AG2's reply function sees it: with its execution watched."""

    __slots__ = ("_agent", "_executor", "_patches")

    def __init__(self, executor: Any, agent: Any, patches: Patches) -> None:
        self._executor = executor
        self._agent = agent
        self._patches = patches

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._executor, name)
        if name != "execute_code_blocks":
            return found
        return watched(found, blocks_run, name, self._agent, switch=self._patches)


class CodeExecutor(ViewedAttribute):
    """The attribute `_code_executor` of agents, with a view of its own for AG2's reply function."""

    def __init__(self, owner: type[Any], patches: Patches) -> None:
        super().__init__("_code_executor", {inspect.unwrap(vars(owner)[REPLIES]).__code__})
        self.patches = patches

    def view(self, agent: Any, executor: Any) -> Any:
        """Return the executor with its execution watched."""
        return _Executor(executor, agent, self.patches)
