"""Prompt caches that a program of real agents breaks, and what it changed."""

from __future__ import annotations

import pytest
from autogen import GroupChat, GroupChatManager
from autogen.agentchat.contrib.capabilities.transform_messages import TransformMessages
from autogen.agentchat.contrib.capabilities.transforms import MessageHistoryLimiter
from callboard import InstrumentationManager, telemetry_context
from conftest import Recorder, llm_config, speaker
from model_server import Answer


def broken(recorder):
    """What is found: what was changed, where, the role there, how many tokens, and the kinds of the spans that show it."""
    spans = recorder.spans
    return [
        (
            *(event[f"callboard.finding.{particular}"] for particular in ("change", "index", "role", "tokens")),
            [spans[name].kind for name in event["callboard.finding.spans"]],
        )
        for span in [recorder.root, *spans.values()][1:]
        for kind, event in span.events
        if kind == "finding" and event["callboard.finding"] == "broken_prompt_cache"
    ]


def sentences(recorder):
    return [event["callboard.finding.text"] for event in recorder.root.found("finding")]


CALLS = ["llm_call", "llm_call"]
COUNT = [Answer(f"answer {turn}", input_tokens=100) for turn in range(6)]


def chat(serve, *, each_turn=lambda emma, turn: None, max_turns=4, **options):
    """A chat in which emma's model is called once a turn, after something was done to her."""
    turns = iter(range(100))

    def before(messages):
        each_turn(emma, next(turns))
        return messages

    boss, emma = speaker("boss", None, default_auto_reply="Go on."), speaker("emma", serve(*COUNT))
    emma.register_hook("process_all_messages_before_reply", before)
    boss.initiate_chat(emma, message="Begin.", max_turns=max_turns, **options)


def test_a_system_message_that_tells_the_time(recorder, traced, serve):
    with traced():
        chat(serve, each_turn=lambda emma, turn: emma.update_system_message(f"You are emma. It is {turn} o'clock."))
    [(change, index, role, tokens, spans)] = broken(recorder)
    assert (change, index, role, spans) == ("system_message", 0, "system", CALLS)
    assert 10 < tokens < 60, "Begin., of what were 100 tokens with the system message"
    assert sentences(recorder) == [
        f"between two calls of emma, the system message was changed: about {tokens} tokens that the first had sent "
        "were sent again past the prompt cache"
    ]


def test_a_history_that_is_limited(recorder, traced, serve):
    boss, emma = speaker("boss", None, default_auto_reply="Go on."), speaker("emma", serve(*COUNT))
    TransformMessages(transforms=[MessageHistoryLimiter(max_messages=4)]).add_to_agent(emma)
    with traced():
        boss.initiate_chat(emma, message="Begin.", max_turns=5)
    found = broken(recorder)
    assert found
    assert {change for change, *_ in found} <= {"changed", "removed"}
    assert all(index > 0 and spans == CALLS for _, index, _, _, spans in found)


def test_a_history_without_its_beginning(recorder, traced, serve):
    boss = speaker("boss", serve(*(f"question {turn}" for turn in range(5))))
    emma = speaker("emma", serve(*COUNT))
    emma.register_hook("process_all_messages_before_reply", lambda messages: messages[-5:])
    with traced():
        boss.initiate_chat(emma, message="Begin.", max_turns=5)
    assert [found[:3] for found in broken(recorder)] == [("removed", 1, "user")]


def test_tools_that_come_in_between(recorder, traced, serve):
    def give(emma, turn):
        if turn == 2:
            emma.register_for_llm(name="look", description="Looks.", api_style="tool")(lambda: "")

    with traced():
        chat(serve, each_turn=give)
    [(change, index, _, _, spans)] = broken(recorder)
    assert (change, index, spans) == ("tools", 0, CALLS)
    assert "the tools were changed (added look)" in sentences(recorder)[0]


@pytest.mark.parametrize("options", [{}, {"summary_method": "reflection_with_llm"}])
def test_a_chat_that_goes_on(options, recorder, traced, serve):
    with traced():
        chat(serve, **options)
    assert broken(recorder) == []


def test_a_new_chat_is_no_broken_cache(recorder, traced, serve):
    with traced():
        boss, emma = speaker("boss", None, default_auto_reply="Go on."), speaker("emma", serve(*COUNT))
        for task in ("Begin.", "Begin with something else."):
            boss.initiate_chat(emma, message=task, max_turns=2)
            emma.update_system_message("You are emma, still.")
    assert broken(recorder) == []


def test_who_speaks_next_is_asked_anew_each_time(recorder, traced, serve):
    with traced():
        agents = [speaker(name, serve(*COUNT)) for name in ("ana", "ben")]
        group = GroupChat(agents, [], max_round=6)
        manager = GroupChatManager(group, llm_config=llm_config(serve("ben", "ana", "ben", "ana", "ben")))
        agents[0].initiate_chat(manager, message="Go.")
    assert broken(recorder) == []


def test_what_is_not_recorded_is_known_by_its_length(serve):
    manager = InstrumentationManager(capture_content="none")
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    with telemetry_context(manager, "Test"):
        chat(serve, each_turn=lambda emma, turn: emma.update_system_message("You are emma. " * (turn + 1)))
    assert [found[:3] for found in broken(recorder)] == [("system_message", 0, "system")]
