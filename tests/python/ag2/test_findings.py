"""What goes wrong in a team is found while it happens, in scripted programs that do just that."""

from __future__ import annotations

import autogen
import pytest
from autogen import GroupChat, GroupChatManager
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group import AgentTarget, OnCondition, ReplyResult, StringLLMCondition, TerminateTarget
from autogen.agentchat.group.patterns import DefaultPattern, RoundRobinPattern
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


def in_a_group(serve, names, message, max_rounds):
    """A group in which whoever is asked has a tool, and one executor runs the tools of all."""
    agents = []
    for name, script in names.items():
        agents.append(speaker(name, serve(*script)))

        def weather(city: str) -> str:
            """Looks up the weather."""
            return "sunny"

        agents[-1].register_for_llm(description="Looks up the weather.")(weather)
        agents[-1].register_for_execution()(weather)
    pattern = RoundRobinPattern(initial_agent=agents[0], agents=agents)
    initiate_group_chat(pattern=pattern, messages=message, max_rounds=max_rounds)


ASKS = Answer(tool_calls=[ToolCall("weather", {"city": "Oslo"})])


def test_a_tool_that_one_of_a_group_calls_again_and_again(recorder, traced, serve):
    with traced():
        in_a_group(serve, {"ana": [ASKS, ASKS, ASKS, "Done."]}, "Go.", max_rounds=8)
    kinds = [kind for kind, *_ in found(recorder)]
    assert kinds == ["repeated_tool_call"]
    calls = recorder.root.all("tool_call")
    assert {(call["gen_ai.agent.name"], call["callboard.tool.caller"]) for call in calls} == {
        ("_Group_Tool_Executor", "ana")
    }


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


@pytest.mark.parametrize("rounds", [6, 9, 10])
def test_hand_offs_in_a_circle(rounds, recorder, traced, serve):
    """Each hands over to the other, by a tool: a hand-off takes two of the rounds."""
    servers = [serve(*[Answer(tool_calls=[ToolCall(f"transfer_to_{other}_1")])] * 9) for other in ("ben", "ana")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        for one, other in ((ana, ben), (ben, ana)):
            hard = StringLLMCondition(prompt="When it is hard")
            one.handoffs.add_llm_condition(OnCondition(target=AgentTarget(other), condition=hard))
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, ben], group_after_work=TerminateTarget())
        initiate_group_chat(pattern=pattern, messages="Go.", max_rounds=rounds)
    told = ("hand_off_cycle", "hand-offs go round: ana → ben → ana", "swarm_on_condition", ["swarm_on_condition"])
    assert [one for one in found(recorder) if one[0] == "hand_off_cycle"] == ([told] if rounds > 9 else [])


@pytest.mark.parametrize("way", ["tools", "after work"])
def test_turns_that_go_in_a_circle_without_a_condition(way, recorder, traced, serve):
    """Tools that return who goes on are a circle; turns that go on after work are none."""
    agents = {}

    def to_ana() -> ReplyResult:
        """Pass on to ana."""
        return ReplyResult(message="passed on", target=AgentTarget(agents["ana"]))

    def to_ben() -> ReplyResult:
        """Pass on to ben."""
        return ReplyResult(message="passed on", target=AgentTarget(agents["ben"]))

    with traced():
        for name, tool, words in (("ana", to_ben, "aceg"), ("ben", to_ana, "bdfh")):
            script = [Answer(tool_calls=[ToolCall(tool.__name__)])] * 9 if way == "tools" else list(words)
            agents[name] = speaker(name, serve(*script), functions=[tool])
        for name, other in (("ana", "ben"), ("ben", "ana")):
            agents[name].handoffs.set_after_work(AgentTarget(agents[other]))
        pattern = DefaultPattern(initial_agent=agents["ana"], agents=list(agents.values()))
        initiate_group_chat(pattern=pattern, messages="Go.", max_rounds=10 if way == "tools" else 8)
    told = ("hand_off_cycle", "hand-offs go round: ana → ben → ana", "round", ["round"])
    assert [one for one in found(recorder) if one[0] == "hand_off_cycle"] == ([told] if way == "tools" else [])
    assert recorder.root.all("swarm_on_condition") == []


@pytest.mark.parametrize("turns", [4, 5, 8])
def test_a_history_that_grows_by_the_same_words(turns, recorder, traced, serve):
    with traced():
        boss, ana = speaker("boss", None, default_auto_reply="Go on."), speaker("ana", serve(*["Yes."] * 9))
        boss.initiate_chat(ana, message="Go on.", max_turns=turns)
    told = "what ana is asked grew over 3 calls to 10 messages, and none of it is new"
    idle = [one for one in found(recorder) if one[0] == "idle_context"]
    assert idle == ([("idle_context", told, "llm_call", ["llm_call"])] if turns >= 5 else [])


def test_choosing_that_costs_less_than_the_work(recorder, traced, serve):
    with traced():
        ana, ben = (speaker(name, serve(*[Answer(f"I am {name}.", input_tokens=900)] * 3)) for name in ("ana", "ben"))
        choice = [Answer(name, input_tokens=100) for name in ("ben", "ana", "ben")]
        group = GroupChatManager(GroupChat([ana, ben], [], max_round=4), llm_config=llm_config(serve(*choice)))
        ana.initiate_chat(group, message="Go.")
    assert [one for one in found(recorder) if one[0] == "costly_selection"] == []


def test_a_silent_chat_in_a_loop(recorder, traced):
    with traced():
        ana, ben = (speaker(name, None, default_auto_reply=f"{name} says so.") for name in ("ana", "ben"))
        ana.initiate_chat(ben, message="ana says so.", max_turns=4, silent=True)
    assert [kind for kind, *_ in found(recorder)] == ["ping_pong"]


def counting(serve):
    ana, ben = speaker("ana", serve("one", "two", "three")), speaker("ben", serve("un", "deux", "trois"))
    ana.initiate_chat(ben, message="Count.", max_turns=3)


def two_who_approve(serve):
    """They say the same, but to a third."""
    boss = speaker("boss", None)
    for number in range(3):
        for name in ("ann", "ben"):
            boss.initiate_chat(speaker(name, None, default_auto_reply="APPROVED"), message=f"{number}", max_turns=1)


def the_same_question_each_day(serve):
    boss, ann = speaker("boss", None), speaker("ann", None, default_auto_reply="Yes.")
    for _ in range(4):
        boss.initiate_chat(ann, message="Ready?", max_turns=1)


def turns_in_order(serve):
    agents = [speaker(name, serve(*[f"{name} {number}" for number in range(4)])) for name in ("ana", "ben")]
    pattern = RoundRobinPattern(initial_agent=agents[0], agents=agents)
    initiate_group_chat(pattern=pattern, messages="Go.", max_rounds=8)


def files_that_are_written(serve):
    """The tool says the same each time, but each time it is asked for something else."""
    asks = [Answer(tool_calls=[ToolCall("write", {"text": f"line {number}"})]) for number in range(5)]
    boss, ann = speaker("boss", None), speaker("ann", serve(*asks, "Done."))

    def write(text: str) -> str:
        """Write something."""
        return "ok"

    ann.register_for_llm(name="write", description="Writes.")(write)
    boss.register_for_execution(name="write")(write)
    boss.initiate_chat(ann, message="Write.", max_turns=6)


def work_without_a_price(serve):
    unpriced = llm_config(serve("I am ana.", "I am ben."))
    unpriced["config_list"][0]["model"] = "of-our-own"
    ana, ben = (speaker(name, None, llm_config=unpriced) for name in ("ana", "ben"))
    group = GroupChatManager(GroupChat([ana, ben], [], max_round=2), llm_config=llm_config(serve("ben")))
    ana.initiate_chat(group, message="Go.")


def work_in_a_group_within(serve):
    ana, ben = speaker("ana", None), speaker("ben", None)
    cal, dan = (speaker(name, serve(Answer(f"I am {name}.", input_tokens=900))) for name in ("cal", "dan"))
    inner = GroupChat([cal, dan], [], max_round=3, speaker_selection_method="round_robin")
    team = GroupChatManager(inner, name="team", llm_config=False)
    ben.register_nested_chats([{"recipient": team, "message": "Work.", "max_turns": 1}], trigger=lambda _: True)
    group = GroupChatManager(GroupChat([ana, ben], [], max_round=2), llm_config=llm_config(serve("ben")))
    ana.initiate_chat(group, message="Go.")


def who_opens_and_listens(serve):
    agents = [speaker(name, None, llm_config=llm_config(serve(*"123"))) for name in ("ana", "ben", "cal")]
    turns = iter([1, 2, 1, 2])
    group = GroupChat(agents, [], max_round=5, speaker_selection_method=lambda *_: agents[next(turns)])
    agents[0].initiate_chat(GroupChatManager(group, llm_config=False), message="Go.")


def one_tool_that_all_of_a_group_call(serve):
    in_a_group(serve, {name: [ASKS, f"{name} is done."] for name in ("ana", "ben", "cal")}, "Go.", max_rounds=10)


def three_requests_that_need_the_same(serve):
    for number in range(3):
        in_a_group(serve, {f"desk{number}": [ASKS, f"Sunny, {number}."]}, f"Request {number}", max_rounds=4)
    boss = speaker("boss", None)

    def look() -> str:
        """Look."""
        return "nothing"

    boss.register_for_execution(name="look")(look)
    for number in range(3):
        asks = Answer(tool_calls=[ToolCall("look")])
        ann = speaker("ann", serve(asks, f"Nothing, {number}."))
        ann.register_for_llm(name="look", description="Looks.")(look)
        boss.initiate_chat(ann, message=f"Question {number}", max_turns=2)


def who_is_not_needed(serve):
    """The group ends when its work is done, and one of them had nothing to do."""
    agents = [speaker(name, None, default_auto_reply=f"I am {name}.") for name in ("ana", "ben", "cal")]
    agents[1].register_reply([autogen.Agent, None], lambda *_, **__: (True, "ben says DONE."), position=0)
    turns = iter([0, 0, 0, 1])
    group = GroupChat(agents, [], max_round=9, speaker_selection_method=lambda *_: agents[next(turns)])
    done = {"is_termination_msg": lambda message: "DONE" in (message.get("content") or "")}
    opener = speaker("opener", None)
    opener.initiate_chat(GroupChatManager(group, llm_config=False, **done), message="Go.")


PROGRAMS = [
    *(one_tool_that_all_of_a_group_call, three_requests_that_need_the_same, who_is_not_needed),
    *(counting, two_who_approve, the_same_question_each_day, turns_in_order, files_that_are_written),
    *(work_without_a_price, work_in_a_group_within, who_opens_and_listens),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_nothing_to_find(program, recorder, traced, serve):
    with traced():
        program(serve)
    assert found(recorder) == []


def test_who_is_in_a_group(recorder, traced, serve):
    with traced():
        turns_in_order(serve)
    group = recorder.root.all("chat")[0].only("group_chat")
    assert group["ag2.agents"] == ["_Group_Tool_Executor", "ana", "ben", "_User"]
    assert group["callboard.groupchat.internal_agents"] == ["_Group_Tool_Executor", "_User"]
    assert group["callboard.groupchat.opened_by"] == "_User"
