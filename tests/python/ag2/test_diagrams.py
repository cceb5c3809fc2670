"""What the diagram of a classic AG2 program shows: nested chats, agents that tools ask, messages of several parts."""

from __future__ import annotations

from textwrap import dedent

import callboard
import pytest
from conftest import speaker
from model_server import Answer, ToolCall
from test_chat import MODES, chat
from test_images import URL, message


@pytest.fixture
def diagram(manager):
    diagram = callboard.MermaidDiagramProvider()
    manager.register_provider(diagram)
    return diagram


def arrows(text):
    return [line.strip() for line in dedent(text).splitlines() if "->>" in line]


@pytest.mark.parametrize("mode", MODES)
async def test_nested_chats(mode, diagram, traced, serve):
    boss, ann = speaker("boss", None), speaker("ann", None)
    pam, tom = speaker("pam", serve("a plan")), speaker("tom", serve("a text"))
    queue = [
        {"recipient": pam, "message": "Plan it.", "chat_id": 1},
        {"recipient": tom, "message": "Write it.", "chat_id": 2},
    ]
    for entry in queue:
        entry.update(max_turns=1, summary_method="last_msg")
    queue[1]["prerequisites"] = [1]
    ann.register_nested_chats(queue, trigger=boss, use_async=mode == "async")
    with traced():
        await chat(boss, ann, mode, message="Go.", max_turns=1)
    drawn = arrows(diagram.generate_sequence_diagram())
    assert [arrow.split(":")[0] for arrow in drawn] == [
        *("boss->>ann", "ann->>pam", "pam->>ann", "ann->>tom", "tom->>ann", "ann->>boss")
    ]
    assert drawn[-1] == "ann->>boss: a text"


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_that_a_tools_function_asks(mode, diagram, traced, serve):
    def consult(question: str) -> str:
        """Asks pam."""
        return str(pam.generate_reply([{"role": "user", "content": question}]))

    asks = Answer(tool_calls=[ToolCall("consult", {"question": "Why; now?"})])
    with traced():
        boss, ann, pam = speaker("boss", None), speaker("ann", serve(asks, "Because.")), speaker("pam", serve("So."))
        ann.register_for_llm(name="consult", description="Asks pam.")(consult)
        boss.register_for_execution(name="consult")(consult)
        await chat(boss, ann, mode, message="Why?", max_turns=2)
    assert arrows(diagram.generate_sequence_diagram()) == arrows("""
        boss->>ann: Why?
        ann->>boss: Tool Call(s) -> consult
        ann->>pam: Why#59; now?
        pam->>ann: So.
        boss->>ann: Tool Response(s): consult -> So.
        ann->>boss: Because.
    """)


def test_a_message_with_an_image(diagram, traced, serve):
    with traced():
        ana, ben = speaker("ana", None), speaker("ben", serve("A cat."))
        ana.initiate_chat(ben, message=message(URL), max_turns=1)
    assert arrows(diagram.generate_sequence_diagram()) == arrows("""
        ana->>ben: What is this? [image]
        ben->>ana: A cat.
    """)
