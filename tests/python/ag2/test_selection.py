"""Why a group chat's next speaker was chosen: the method, the candidates, the reason; and where the speaker changes."""

from __future__ import annotations

import pytest
from autogen import GroupChat, GroupChatManager
from conftest import llm_config, speaker
from test_chat import MODES, chat


@pytest.fixture
def selections(recorder, traced):
    """Runs a group chat of three, and gives its selections: from, to, reason, method, candidates."""

    def run(method, *, agents=None, max_round=3, **options):
        made = agents or [speaker(name, None, default_auto_reply=f"I am {name}") for name in ("ana", "bea", "cal")]
        with traced():
            group = GroupChat(made, [], max_round=max_round, speaker_selection_method=method, **options)
            made[0].initiate_chat(GroupChatManager(group, llm_config=False), message="one", silent=True)
        return [
            (
                span["ag2.agent.last_speaker"],
                span["ag2.agent.selected"],
                span["ag2.transition_reason"],
                span["callboard.selection.method"],
                span.attributes.get("callboard.selection.candidates"),
            )
            for span in recorder.root.all("groupchat_select_speaker")
        ]

    return run


ALL = ["ana", "bea", "cal"]


def test_round_robin(selections):
    assert selections("round_robin") == [
        ("ana", "bea", "Round robin selection", "round_robin", ALL),
        ("bea", "cal", "Round robin selection", "round_robin", ALL),
    ]


def test_random(selections, monkeypatch):
    monkeypatch.setattr("random.choice", lambda agents: agents[-1])
    assert selections("random", allow_repeat_speaker=True) == [
        ("ana", "cal", "Random selection", "random", ALL),
        ("cal", "cal", "Random selection", "random", ALL),
    ]


def test_by_a_person(selections, monkeypatch):
    answers = iter(["3", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(answers))
    assert selections("Manual".lower()) == [
        ("ana", "cal", "Manually selected by user", "manual", ALL),
        ("cal", "ana", "Next agent as user didn't select it manually", "manual", ALL),
    ]


def test_by_a_function(selections):
    def the_last(last_speaker, group):
        group.next_agent(last_speaker)
        return group.agents[-1]

    assert selections(the_last) == [
        ("ana", "cal", "Callable, the_last", "callable", ALL),
        ("cal", "cal", "Callable, the_last", "callable", ALL),
    ]


def test_by_a_function_that_names_a_method(selections):
    [first, _] = selections(lambda last_speaker, group: "round_robin")
    assert first == ("ana", "bea", "Round robin selection", "callable", ALL)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ["cal", "nobody"])
async def test_by_a_model(answer, mode, recorder, traced, serve):
    with traced():
        agents = [speaker(name, None, default_auto_reply=f"I am {name}") for name in ALL]
        group = GroupChat(agents, [], max_round=2, max_retries_for_selecting_speaker=1)
        manager = GroupChatManager(group, llm_config=llm_config(serve(answer, answer)))
        await chat(agents[0], manager, mode, message="Go.")
    [selection] = recorder.root.all("groupchat_select_speaker")
    assert (selection["ag2.agent.selected"], selection["ag2.transition_reason"]) == (
        ("cal", "Auto speaker selection") if answer == "cal" else ("bea", "Next agent as model didn't select one")
    )
    assert len(selection.all("llm_call")) == (1 if answer == "cal" else 2)
    [transition] = recorder.root.found("agent_transition")
    assert transition["ag2.transition_reason"] == selection["ag2.transition_reason"]


def test_one_candidate(selections):
    agents = [speaker(name, None, default_auto_reply=name) for name in ("ana", "bea")]
    [first, second] = selections("auto", agents=agents, allow_repeat_speaker=False)
    assert first == ("ana", "bea", "Only one eligible agent", "auto", ["bea"])
    assert second == ("bea", "ana", "Only one eligible agent", "auto", ["ana"])


def test_who_can_execute_a_function(selections):
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    ana, bea = speaker("ana", None), speaker("bea", None)
    cal = speaker("cal", None, function_map={"add": lambda: "3"})
    bea.register_reply(type(bea), lambda *_, **__: (True, {"content": "", "tool_calls": [call]}), position=0)
    bea.register_reply([type(bea), None], lambda *_, **__: (True, {"content": "", "tool_calls": [call]}), position=0)
    [_, second] = selections("round_robin", agents=[ana, bea, cal])
    assert second == ("bea", "cal", "Only agent that can execute a function", "round_robin", ["cal"])


def test_transitions_are_where_the_speaker_changes(selections, recorder, monkeypatch):
    order = iter([1, 1, 2])
    monkeypatch.setattr("random.choice", lambda agents: agents[next(order)])
    selections("random", max_round=4, allow_repeat_speaker=True)
    transitions = [
        [(one["ag2.agent.last_speaker"], one["ag2.agent.next_speaker"]) for one in turn.found("agent_transition")]
        for turn in recorder.root.all("round")
    ]
    assert transitions == [[("ana", "bea")], [], [("bea", "cal")], []]
