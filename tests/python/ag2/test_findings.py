"""What goes wrong in a team is found while it happens, in scripted programs that do just that."""

from __future__ import annotations

import pytest
from autogen import GroupChat, GroupChatManager
from conftest import llm_config, speaker
from model_server import Answer, ToolCall


def found(recorder):
    """The findings of the run: which, in a sentence, in what kind of span, and the kinds of the spans that show it."""
    spans = recorder.spans
    return [
        (
            event["callboard.finding"],
            event["callboard.finding.text"],
            span.kind,
            sorted({spans[name].kind for name in event["callboard.finding.spans"]}),
        )
        for span in [recorder.root, *spans.values()][1:]
        for kind, event in span.events
        if kind == "finding"
    ]


def test_two_agents_in_a_loop(recorder, traced):
    with traced():
        ana, ben = (speaker(name, None, default_auto_reply=f"{name} says so.") for name in ("ana", "ben"))
        ana.initiate_chat(ben, message="ana says so.", max_turns=4)
    assert found(recorder) == [
        ("ping_pong", "ana and ben say the same to each other again and again", "round", ["round"])
    ]


def test_a_tool_called_again_and_again(recorder, traced, serve):
    asks = Answer(tool_calls=[ToolCall("look", {"at": "it"})])
    with traced():
        boss, ana = speaker("boss", None), speaker("ana", serve(asks, asks, asks, "Done."))

        def look(at: str) -> str:
            """Look at something."""
            return f"{at} is there"

        ana.register_for_llm(name="look", description="Looks.")(look)
        boss.register_for_execution(name="look")(look)
        boss.initiate_chat(ana, message="Look at it.", max_turns=4)
    assert found(recorder) == [
        ("repeated_tool_call", "look was called 3 times with the same arguments", "tool_call", ["tool_call"])
    ]


@pytest.mark.parametrize("answers", [["ben", "ana", "ben"], ["ben", "cal", "ana"]])
def test_an_agent_without_a_word(answers, recorder, traced, serve):
    with traced():
        agents = [speaker(name, None, default_auto_reply=f"I am {name}.") for name in ("ana", "ben", "cal")]
        group = GroupChat(agents, [], max_round=4)
        manager = GroupChatManager(group, llm_config=llm_config(serve(*answers)))
        agents[0].initiate_chat(manager, message="Go.")
    kinds = {kind: text for kind, text, *_ in found(recorder)}
    assert kinds["costly_selection"].startswith("choosing who speaks cost $0.0000")
    assert kinds.get("agent_never_chosen") == (None if "cal" in answers else "cal was never chosen in 3 selections")


def test_nothing_to_find(recorder, traced, serve):
    with traced():
        ana, ben = speaker("ana", serve("one", "two", "three")), speaker("ben", serve("un", "deux", "trois"))
        ana.initiate_chat(ben, message="Count.", max_turns=3)
    assert found(recorder) == []
