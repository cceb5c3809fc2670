"""Agents that others ask by a tool are in the diagram: who asks whom, and what comes back."""

from __future__ import annotations

import re
from textwrap import dedent

import callboard
import pytest
from ag2 import TaskConfig, tool
from conftest import asked, speaker
from model_server import Failure


@pytest.fixture
def diagram(manager):
    diagram = callboard.MermaidDiagramProvider()
    manager.register_provider(diagram)
    return diagram


def between_agents(diagram):
    """The arrows, without what the user says and is answered, and without what AG2 draws by chance."""
    lines = [line.strip() for line in diagram.generate_sequence_diagram().splitlines()]
    text = "\n".join(line for line in lines if "->>" in line and "user" not in line)
    for line in lines:
        aliased = re.fullmatch(r"participant (\w+) as subtask-[0-9a-f]{8}", line)
        text = re.sub(rf"\b{aliased[1]}\b", "subtask", text) if aliased else text
    return text


def arrows(text):
    return dedent(text).strip()


async def test_an_agent_as_a_tool(diagram, traced, serve):
    servers = serve(asked("task_ann", objective="Count; all.", context="Apples."), "It is three."), serve("three")
    with traced():
        ann = speaker("ann", servers[1])
        await speaker("boss", servers[0], tools=[ann.as_tool(description="Counts.")]).ask("How many?")
    assert between_agents(diagram) == arrows("""
        boss->>ann: Count#59; all.  Apples.
        ann->>boss: three
    """)


async def test_tasks_within_tasks(diagram, traced, serve):
    servers = [serve(asked("task_b", objective="1"), "x"), serve(asked("task_c", objective="2"), "y"), serve("z")]
    with traced():
        c = speaker("c", servers[2])
        b = speaker("b", servers[1], tools=[c.as_tool(description="C.")])
        await speaker("a", servers[0], tools=[b.as_tool(description="B.")]).ask("?")
    assert between_agents(diagram) == arrows("""
        a->>b: 1
        b->>c: 2
        c->>b: z
        b->>a: y
    """)


async def test_a_subtask(diagram, traced, serve):
    server = serve(asked("run_subtask", task="Count."), "three", "It is three.")
    with traced():
        await speaker("boss", server, tasks=TaskConfig()).ask("How many?")
    assert between_agents(diagram) == arrows("""
        boss->>subtask: Count.
        subtask->>boss: three
    """)


async def test_a_task_that_fails(diagram, traced, serve):
    servers = serve(asked("task_ann", objective="Count."), "Oh."), serve(Failure(500))
    with traced():
        ann = speaker("ann", servers[1])
        await speaker("boss", servers[0], tools=[ann.as_tool(description="Counts.")]).ask("?")
    question, answer = between_agents(diagram).splitlines()
    assert question == "boss->>ann: Count."
    assert answer.startswith("ann->>boss: Error: ")


async def test_an_agent_that_a_tools_function_asks(diagram, traced, serve):
    servers = serve(asked("consult", question="Why?"), "Because of ann."), serve("Because.")

    @tool
    async def consult(question: str) -> str:
        """Asks ann."""
        return (await ann.ask(question)).body

    with traced():
        ann = speaker("ann", servers[1])
        await speaker("boss", servers[0], tools=[consult]).ask("Why?")
    assert between_agents(diagram) == arrows("""
        boss->>ann: Why?
        ann->>boss: Because.
    """)
