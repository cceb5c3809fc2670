"""Hand-offs in groups: each of the four ways, the targets that are chats themselves, and why a speaker is who it is."""

from typing import Any

import pytest
from autogen.agentchat import a_initiate_group_chat, initiate_group_chat
from autogen.agentchat.group import (
    AgentTarget,
    ContextExpression,
    ContextVariables,
    ExpressionContextCondition,
    GroupChatConfig,
    GroupChatTarget,
    NestedChatTarget,
    OnCondition,
    OnContextCondition,
    ReplyResult,
    RevertToUserTarget,
    StringContextCondition,
    StringLLMCondition,
    TerminateTarget,
)
from autogen.agentchat.group.guardrails import RegexGuardrail
from autogen.agentchat.group.patterns import AutoPattern, DefaultPattern, RoundRobinPattern
from autogen.agentchat.group.targets.group_manager_target import GroupManagerTarget
from conftest import began_with_its_evaluation, llm_config, served, speaker, untraced
from model_server import Answer, ToolCall
from test_chat import MODES, tree

HIDDEN = ("console_print", "agent_creation", "groupchat_creation", "agent_send_msg", "cost", "llm_create", "summary")


def drawn(recorder):
    """The run, with the executor's reply function as the older versions call it in async chats, too."""
    tree = recorder.tree(*HIDDEN, "tool_execution")
    return tree.replace("_a_generate_group_tool_reply", "_generate_group_tool_reply")


def calling(tool: str, **arguments: Any) -> Answer:
    return Answer(tool_calls=[ToolCall(tool, arguments)])


async def group_chat(pattern, mode, **options):
    options = {"messages": "Go.", "max_rounds": 12, **options}
    if mode == "sync":
        return initiate_group_chat(pattern=pattern, **options)
    return await a_initiate_group_chat(pattern=pattern, **options)


def transitions(recorder):
    """Who handed off to whom by which rule, and on what condition."""
    said = ("ag2.swarm.source", "ag2.swarm.target", "ag2.transition_reason", "ag2.swarm.condition")
    return [tuple(event[key] for key in said) for event in recorder.root.found("swarm_transition")]


def by_a_condition(recorder):
    """The same of the hand-offs that have a span."""
    spans = recorder.root.all("swarm_on_condition")
    return [(span["ag2.swarm.source"], span["ag2.swarm.target"], span["ag2.transition_reason"]) for span in spans]


def a_group_of_five(servers):
    """Each hands off to the next in another way."""

    def promote(context_variables: ContextVariables) -> ReplyResult:
        """Make the customer important."""
        context_variables["important"] = True
        return ReplyResult(message="promoted", target=AgentTarget(cal), context_variables=context_variables)

    ana, bea = speaker("ana", servers[0]), speaker("bea", servers[1], functions=[promote])
    cal, dan = speaker("cal", None), speaker("dan", servers[2])
    eve = speaker("eve", None, default_auto_reply="Bye.")
    ana.handoffs.add_llm_condition(
        OnCondition(target=AgentTarget(bea), condition=StringLLMCondition(prompt="When it is hard"))
    )
    cal.handoffs.add_context_condition(
        OnContextCondition(target=AgentTarget(dan), condition=StringContextCondition(variable_name="important"))
    )
    dan.handoffs.set_after_work(AgentTarget(eve))
    return DefaultPattern(
        initial_agent=ana,
        agents=[ana, bea, cal, dan, eve],
        context_variables=ContextVariables(data={"important": False}),
        group_after_work=TerminateTarget(),
    )


@pytest.mark.parametrize("mode", MODES)
async def test_each_of_the_four_ways(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_bea_1")), serve(calling("promote")), serve("Done.")]
    with traced():
        await group_chat(a_group_of_five(servers), mode)

    a = "" if mode == "sync" else "a_"
    assert drawn(recorder) == tree(f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: No eligible speaker
                  round 1 of 12
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: transfer_to_bea_1()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 12
                    groupchat_select_speaker ana -> _Group_Tool_Executor (Tool calls)
                    reply _Group_Tool_Executor {a}generate_reply: Transfer to bea [internal]
                      reply_function _generate_group_tool_reply
                        tool_call transfer_to_bea_1 by _Group_Tool_Executor
                  swarm_on_condition ana -> bea: ON_CONDITION When it is hard
                    * swarm_transition ana -> bea
                  round 3 of 12
                    * agent_transition ana -> bea
                    groupchat_select_speaker _Group_Tool_Executor -> bea (ON_CONDITION)
                    reply bea {a}generate_reply: promote()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of bea
                  round 4 of 12
                    groupchat_select_speaker bea -> _Group_Tool_Executor (Tool calls)
                    reply _Group_Tool_Executor {a}generate_reply: promoted [internal]
                      reply_function _generate_group_tool_reply
                        tool_call promote by _Group_Tool_Executor
                  round 5 of 12
                    * swarm_transition bea -> cal
                    * agent_transition bea -> cal
                    groupchat_select_speaker _Group_Tool_Executor -> cal (REPLY_RESULT)
                    reply cal {a}generate_reply: [Handing off to dan]
                      reply_function _run_oncontextconditions
                  swarm_on_condition cal -> dan: ON_CONTEXT_CONDITION important
                    * swarm_transition cal -> dan
                  round 6 of 12
                    * agent_transition cal -> dan
                    groupchat_select_speaker cal -> dan (ON_CONTEXT_CONDITION)
                    reply dan {a}generate_reply: Done.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of dan
                  round 7 of 12
                    * swarm_transition dan -> eve
                    * agent_transition dan -> eve
                    groupchat_select_speaker dan -> eve (AFTER_WORK)
                    reply eve {a}generate_reply: Bye.
                  round 8 of 12
                    * swarm_transition eve -> nobody
                    groupchat_select_speaker eve -> - (-)
    """)
    assert recorder.spent() == served(*servers)
    assert began_with_its_evaluation(recorder.root)


@pytest.mark.parametrize("mode", MODES)
async def test_from_the_condition_or_the_tool_to_the_next_speakers_choice(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_bea_1")), serve(calling("promote")), serve("Done.")]
    with traced():
        await group_chat(a_group_of_five(servers), mode)
    of_bea, of_dan = recorder.root.all("swarm_on_condition")
    selections = {
        span.attributes.get("ag2.agent.selected"): span for span in recorder.root.all("groupchat_select_speaker")
    }
    replies = {span["ag2.agent.recipient"]: span for span in recorder.root.all("reply")}

    tool = recorder.root.all("tool_call")[0]
    assert tool.began <= of_bea.began < tool.ended_at
    condition = next(one for one in replies["cal"].all("reply_function") if one["ag2.final"])
    assert condition.began <= of_dan.began <= condition.ended_at
    for hand_off, name in ((of_bea, "bea"), (of_dan, "dan")):
        assert selections[name].began <= hand_off.ended_at <= selections[name].ended_at


@pytest.mark.parametrize("mode", MODES)
async def test_only_a_hand_off_by_a_condition_has_a_span(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_bea_1")), serve(calling("promote")), serve("Done.")]
    with traced():
        await group_chat(a_group_of_five(servers), mode)
    assert by_a_condition(recorder) == [("ana", "bea", "ON_CONDITION"), ("cal", "dan", "ON_CONTEXT_CONDITION")]
    others = [
        (span["ag2.round"], event["ag2.transition_reason"], event.get("ag2.agent.next_speaker"))
        for span in recorder.root.all("round")
        for kind, event in span.events
        if kind == "swarm_transition"
    ]
    assert others == [(5, "REPLY_RESULT", "cal"), (7, "AFTER_WORK", "eve"), (8, "AFTER_WORK", None)]


@pytest.mark.parametrize("mode", MODES)
async def test_what_a_transition_records(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_bea_1")), serve(calling("promote")), serve("Done.")]
    with traced():
        pattern = a_group_of_five(servers)
        await group_chat(pattern, mode)
    ids = {agent.name: str(id(agent)) for agent in pattern.agents}

    def told(source, target, rule, condition, then):
        who = {"ag2.swarm.source": source, "ag2.swarm.source.id": ids[source], "ag2.swarm.target": target}
        next_one = {} if then is None else {"ag2.agent.next_speaker": then, "ag2.agent.next_speaker.id": ids[then]}
        return {**who, "ag2.swarm.condition": condition, "ag2.transition_reason": rule, **next_one}

    assert recorder.root.found("swarm_transition") == [
        told("ana", "bea", "ON_CONDITION", "When it is hard", "bea"),
        told("bea", "cal", "REPLY_RESULT", None, "cal"),
        told("cal", "dan", "ON_CONTEXT_CONDITION", "important", "dan"),
        told("dan", "eve", "AFTER_WORK", None, "eve"),
        told("eve", "Terminate", "AFTER_WORK", None, None),
    ]


@pytest.mark.parametrize("mode", MODES)
async def test_to_a_nested_chat(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_wrapped_nested_ana_1_1"), "Thanks."), serve("Fine.")]
    with traced():
        ana, ben, pam = speaker("ana", servers[0]), speaker("ben", None), speaker("pam", servers[1])
        checks = [{"recipient": pam, "message": "Check it.", "max_turns": 1, "summary_method": "last_msg"}]
        ana.handoffs.add_llm_condition(
            OnCondition(
                target=NestedChatTarget(nested_chat_config={"chat_queue": checks}),
                condition=StringLLMCondition(prompt="To check"),
            )
        )
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, ben], group_after_work=TerminateTarget())
        await group_chat(pattern, mode, max_rounds=5)

    a = "" if mode == "sync" else "a_"
    assert drawn(recorder) == tree(f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  * finding agent_never_chosen
                  round 1 of 5
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: transfer_to_wrapped_nested_ana_1_1()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 5
                    groupchat_select_speaker ana -> _Group_Tool_Executor (Tool calls)
                    reply _Group_Tool_Executor {a}generate_reply: Transfer to wrapped_nested_ana_1 [internal]
                      reply_function _generate_group_tool_reply
                        tool_call transfer_to_wrapped_nested_ana_1_1 by _Group_Tool_Executor
                  swarm_on_condition ana -> wrapped_nested_ana_1: ON_CONDITION To check
                    * swarm_transition ana -> wrapped_nested_ana_1
                  round 3 of 5
                    groupchat_select_speaker _Group_Tool_Executor -> wrapped_nested_ana_1 (ON_CONDITION)
                    reply wrapped_nested_ana_1 {a}generate_reply: Fine. [internal]
                      reply_function _summary_from_nested_chats
                        nested_chat _summary_from_nested_chats of 1 for wrapped_nested_ana_1: Fine.
                          chats initiate_chats of 1
                            chat initiate_chat wrapped_nested_ana_1 -> pam [internal]
                              round 1 of 1
                                reply pam generate_reply: Fine.
                                  reply_function generate_oai_reply
                                    llm_call gpt-4o-mini of pam
                  round 4 of 5
                    * swarm_transition wrapped_nested_ana_1 -> ana
                    groupchat_select_speaker wrapped_nested_ana_1 -> ana (AFTER_WORK)
                    reply ana {a}generate_reply: Thanks.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 5 of 5
    """)
    assert recorder.spent() == served(*servers)


@pytest.mark.parametrize("mode", MODES)
async def test_to_another_group(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_to_wrapped_group_ana_1_1"), "Up."), serve("Deep.")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        inner = DefaultPattern(initial_agent=ben, agents=[ben], group_after_work=TerminateTarget())
        GroupChatConfig.model_rebuild(_types_namespace={"Pattern": Any})  # AG2 leaves that to whoever uses it.
        config = GroupChatConfig(pattern=inner, messages="Go deeper.", max_rounds=3)
        ana.handoffs.add_llm_condition(
            OnCondition(
                target=GroupChatTarget(group_chat_config=config), condition=StringLLMCondition(prompt="When it is deep")
            )
        )
        pattern = DefaultPattern(initial_agent=ana, agents=[ana], group_after_work=TerminateTarget())
        await group_chat(pattern, mode, max_rounds=5)

    outer, within = recorder.root.all("group_chat")
    assert within in outer.all("group_chat")
    assert [reply["ag2.agent.recipient"] for reply in within.all("reply")] == ["ben"]
    assert transitions(recorder)[0] == ("ana", "wrapped_group_ana_1", "ON_CONDITION", "When it is deep")
    assert recorder.spent() == served(*servers)


@pytest.mark.parametrize("mode", MODES)
async def test_the_last_of_two_hand_offs_is_the_one(mode, recorder, traced, serve):
    """Both tools of one answer are run, and AG2 takes the last one's target."""
    both = Answer(tool_calls=[ToolCall("transfer_to_bea_1"), ToolCall("transfer_to_cal_2")])
    with traced():
        ana = speaker("ana", serve(both))
        bea, cal = (speaker(name, None, default_auto_reply=name) for name in ("bea", "cal"))
        for agent in (bea, cal):
            prompt = StringLLMCondition(prompt=f"For {agent.name}")
            ana.handoffs.add_llm_condition(OnCondition(target=AgentTarget(agent), condition=prompt))
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, bea, cal], group_after_work=TerminateTarget())
        await group_chat(pattern, mode)
    first, second = recorder.root.all("swarm_on_condition")
    assert (first["ag2.swarm.target"], first["callboard.swarm.overridden"], first.events) == ("bea", True, [])
    assert (second["ag2.swarm.target"], second.attributes.get("callboard.swarm.overridden")) == ("cal", None)
    assert second.event("swarm_transition")["ag2.agent.next_speaker"] == "cal"
    assert transitions(recorder)[1:] == [("cal", "Terminate", "AFTER_WORK", None)]


@pytest.mark.parametrize("mode", MODES)
async def test_a_tools_result_that_a_later_hand_off_overrides(mode, recorder, traced, serve):
    """It has no span, and no transition: nobody went on because of it."""
    both = Answer(tool_calls=[ToolCall("to_bea"), ToolCall("transfer_to_cal_1")])

    def to_bea() -> ReplyResult:
        """Hand over to bea."""
        return ReplyResult(message="for bea", target=AgentTarget(bea))

    with traced():
        ana = speaker("ana", serve(both), functions=[to_bea])
        bea, cal = (speaker(name, None, default_auto_reply=name) for name in ("bea", "cal"))
        ana.handoffs.add_llm_condition(
            OnCondition(target=AgentTarget(cal), condition=StringLLMCondition(prompt="For cal"))
        )
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, bea, cal], group_after_work=TerminateTarget())
        await group_chat(pattern, mode)
    assert by_a_condition(recorder) == [("ana", "cal", "ON_CONDITION")]
    assert transitions(recorder) == [
        ("ana", "cal", "ON_CONDITION", "For cal"),
        ("cal", "Terminate", "AFTER_WORK", None),
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["input", "output"])
async def test_a_guardrail(kind, mode, recorder, traced, serve):
    """What an agent is given, or what it says, is stopped, and somebody else goes on."""
    with traced():
        ana = speaker("ana", serve("The secret is 42."))
        bea, cal = (speaker(name, None, default_auto_reply=name) for name in ("bea", "cal"))
        guardrail = RegexGuardrail("secrets", "secret", AgentTarget(cal), "Stopped.")
        getattr(ana, f"register_{kind}_guardrail")(guardrail)
        ana.handoffs.set_after_work(AgentTarget(bea))
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, bea, cal], group_after_work=TerminateTarget())
        await group_chat(pattern, mode, messages="Tell the secret.")
    assert transitions(recorder) == [("ana", "cal", "Guardrail", "secret"), ("cal", "Terminate", "AFTER_WORK", None)]
    assert by_a_condition(recorder) == [], "a guardrail is no condition of a hand-off"
    [first, _] = recorder.root.found("swarm_transition")
    assert first["ag2.agent.next_speaker"] == "cal"
    reasons = [span.attributes.get("ag2.transition_reason") for span in recorder.root.all("groupchat_select_speaker")]
    assert reasons == ["Initial agent", "Guardrail", None]
    assert len(recorder.root.all("llm_call")) == (kind == "output")


def test_conditions_in_words(recorder, traced):
    context = ContextVariables(data={"level": 3, "known": True})
    with traced():
        ana, ben = speaker("ana", None, default_auto_reply="x"), speaker("ben", None, default_auto_reply="x")
        above = ExpressionContextCondition(expression=ContextExpression("${level} > 2"))
        ana.handoffs.add_after_work(OnContextCondition(target=AgentTarget(ben), condition=above))
        pattern = DefaultPattern(
            initial_agent=ana, agents=[ana, ben], context_variables=context, group_after_work=TerminateTarget()
        )
        initiate_group_chat(pattern=pattern, messages="Go.", max_rounds=9)
    assert transitions(recorder) == [
        ("ana", "ben", "AFTER_WORK", "${level} > 2"),
        ("ben", "Terminate", "AFTER_WORK", None),
    ]


def test_back_to_the_user(recorder, traced, monkeypatch):
    answers = iter(["More.", "exit"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(answers))
    with traced():
        user = speaker("user", None, human_input_mode="ALWAYS")
        ana = speaker("ana", None, default_auto_reply="Well?")
        pattern = DefaultPattern(
            initial_agent=ana, agents=[ana], user_agent=user, group_after_work=RevertToUserTarget()
        )
        initiate_group_chat(pattern=pattern, messages="Go.", max_rounds=9)
    reasons = [span["ag2.transition_reason"] for span in recorder.root.all("groupchat_select_speaker")]
    assert reasons == ["Initial agent", "AFTER_WORK", "Return after user", "AFTER_WORK"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_pattern_that_selects_by_a_model(mode, recorder, traced, serve):
    servers = [serve("One."), serve("Two."), serve("ben")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        pattern = AutoPattern(
            initial_agent=ana, agents=[ana, ben], group_manager_args={"llm_config": llm_config(servers[2])}
        )
        await group_chat(pattern, mode, max_rounds=3)
    second = recorder.root.all("groupchat_select_speaker")[1]
    assert second["ag2.agent.selected"] == "ben"
    assert second["ag2.transition_reason"] == "Auto speaker selection"
    assert second["callboard.selection.llm_calls"] == 1
    [(_, target, reason, _)] = transitions(recorder)
    assert reason == "AFTER_WORK"
    assert target == GroupManagerTarget().display_name()
    assert recorder.spent() == served(*servers)


def test_a_pattern_that_goes_round(recorder, traced):
    with traced():
        agents = [speaker(name, None, default_auto_reply=name) for name in ("ana", "ben", "cal")]
        initiate_group_chat(
            pattern=RoundRobinPattern(initial_agent=agents[0], agents=agents), messages="Go.", max_rounds=4
        )
    assert [
        (one["ag2.agent.last_speaker"], one["ag2.agent.next_speaker"])
        for one in recorder.root.found("agent_transition")
    ] == [
        ("_User", "ana"),
        ("ana", "ben"),
        ("ben", "cal"),
    ]


@pytest.mark.parametrize("mode", MODES)
async def test_the_program_sees_no_difference(mode, traced, serve):
    async def program(around):
        with around():
            ana, ben = speaker("ana", serve(calling("transfer_to_ben_1"))), speaker("ben", serve("Hello."))
            condition = StringLLMCondition(prompt="Always")
            ana.handoffs.add_llm_condition(OnCondition(target=AgentTarget(ben), condition=condition))
            pattern = DefaultPattern(initial_agent=ana, agents=[ana, ben], group_after_work=TerminateTarget())
            result, context, last = await group_chat(pattern, mode)
        return (
            [
                {
                    key: value
                    for key, value in message.items()
                    if key not in ("tool_calls", "tool_responses", "tool_call_id")
                }
                for message in result.chat_history
            ],
            context.to_dict(),
            last.name,
        )

    assert await program(untraced) == await program(traced)
