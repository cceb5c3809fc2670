"""The whole trees of programs that AG2 runs in threads of its own, and of patterns' chats; and that their costs add up."""

from __future__ import annotations

from typing import Any

import autogen.agentchat
import pytest
from autogen import ConversableAgent
from autogen.agentchat import a_run_group_chat, run_group_chat
from autogen.agentchat.group import (
    AgentTarget,
    GroupChatConfig,
    GroupChatTarget,
    OnCondition,
    StringLLMCondition,
    TerminateTarget,
)
from autogen.agentchat.group.patterns import AutoPattern, DefaultPattern, RoundRobinPattern
from conftest import AG2_VERSION, QUIET, llm_config, speaker
from test_chat import MODES
from test_handoffs import calling, group_chat

RESPONSES = ("run", "a_run", "run_iter")


async def to_its_end(way, jack, emma):
    """Runs a chat in the background, and follows it."""
    if way == "a_run":
        await (await jack.a_run(emma, message="Hello.", max_turns=1)).process()
    elif way == "run":
        jack.run(emma, message="Hello.", max_turns=1).process()
    elif hasattr(ConversableAgent, "run_iter"):
        list(jack.run_iter(emma, message="Hello.", max_turns=1))
    else:
        pytest.skip("this version of AG2 has no run_iter")


@pytest.mark.parametrize("way", RESPONSES)
async def test_a_chat_in_the_background(way, traced, serve, check):
    server = serve("Hi.")
    with traced():
        await to_its_end(way, speaker("jack", None), speaker("emma", server))
    a = "a_" if way == "a_run" else ""
    check(
        f"""
        workflow
          chat {a}initiate_chat jack -> emma
            round 1 of 1
              reply emma {a}generate_reply: Hi.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of emma
            summary last_msg: Hi.
        """,
        server,
    )


def test_chats_in_the_background_one_after_another(traced, serve, check):
    servers = [serve("a plan"), serve("a text")]
    with traced():
        boss, ann, ben = speaker("boss", None), speaker("ann", servers[0]), speaker("ben", servers[1])
        entries = [{"recipient": agent, "message": "Go.", "max_turns": 1} for agent in (ann, ben)]
        for response in boss.sequential_run(entries):
            response.process()
    check(
        """
        workflow
          chat initiate_chat boss -> ann
            round 1 of 1
              reply ann generate_reply: a plan
                reply_function generate_oai_reply
                  llm_call gpt-4o-mini of ann
            summary last_msg: a plan
          chat initiate_chat boss -> ben
            round 1 of 1
              reply ben generate_reply: a text
                reply_function generate_oai_reply
                  llm_call gpt-4o-mini of ben
            summary last_msg: a text
        """,
        *servers,
    )


async def group_to_its_end(way, pattern):
    """Runs a group's chat in the background, and follows it."""
    about = {"messages": "Go.", "max_rounds": 9}
    if way == "a_run":
        await (await a_run_group_chat(pattern, **about)).process()
    elif way == "run":
        run_group_chat(pattern, **about).process()
    elif hasattr(autogen.agentchat, "run_group_chat_iter"):
        list(autogen.agentchat.run_group_chat_iter(pattern, **about))
    else:
        pytest.skip("this version of AG2 has no run_group_chat_iter")


@pytest.mark.parametrize("way", RESPONSES)
async def test_a_group_chat_in_the_background(way, traced, serve, check):
    servers = [serve("One."), serve("Two.")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        ana.handoffs.set_after_work(AgentTarget(ben))
        pattern = DefaultPattern(initial_agent=ana, agents=[ana, ben], group_after_work=TerminateTarget())
        await group_to_its_end(way, pattern)
    a = "a_" if way == "a_run" else ""
    check(
        f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: No eligible speaker
                  round 1 of 9
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: One.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 9
                    * swarm_transition ana -> ben
                    * agent_transition ana -> ben
                    groupchat_select_speaker ana -> ben (AFTER_WORK)
                    reply ben {a}generate_reply: Two.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ben
                  round 3 of 9
                    * swarm_transition ben -> nobody
                    groupchat_select_speaker ben -> - (-)
            summary last_msg: Two.
        """,
        *servers,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_pattern_that_selects_by_a_model(mode, traced, serve, check):
    servers = [serve("One."), serve("Two."), serve("ben")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        asking = {"llm_config": llm_config(servers[2])}
        await group_chat(
            AutoPattern(initial_agent=ana, agents=[ana, ben], group_manager_args=asking), mode, max_rounds=3
        )
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  * finding costly_selection
                  round 1 of 3
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: One.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 3
                    * swarm_transition ana -> ben
                    * agent_transition ana -> ben
                    groupchat_select_speaker ana -> ben (Auto speaker selection)
                      chat {a}initiate_chat checking_agent -> speaker_selection_agent [internal]
                        round 1 of 6
                          reply speaker_selection_agent {a}generate_reply: ben [internal]
                            reply_function {a}generate_oai_reply
                              llm_call gpt-4o-mini of speaker_selection_agent
                        round 2 of 6
                          reply checking_agent {a}generate_reply: None [internal]
                            reply_function validate_speaker_name
                        summary last_msg: ben
                    reply ben {a}generate_reply: Two.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ben
                  round 3 of 3
            summary last_msg: Two.
        """,
        *servers,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_pattern_that_goes_round(mode, traced, serve, check):
    servers = [serve("One.", "Three."), serve("Two.")]
    with traced():
        agents = [speaker("ana", servers[0]), speaker("ben", servers[1])]
        await group_chat(RoundRobinPattern(initial_agent=agents[0], agents=agents), mode, max_rounds=4)
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  round 1 of 4
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: One.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 4
                    * swarm_transition ana -> ben
                    * agent_transition ana -> ben
                    groupchat_select_speaker ana -> ben (AFTER_WORK)
                    reply ben {a}generate_reply: Two.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ben
                  round 3 of 4
                    * swarm_transition ben -> ana
                    * agent_transition ben -> ana
                    groupchat_select_speaker ben -> ana (AFTER_WORK)
                    reply ana {a}generate_reply: Three.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 4 of 4
            summary last_msg: Three.
        """,
        *servers,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_hand_off_to_another_group(mode, traced, serve, check):
    servers = [serve(calling("transfer_to_wrapped_group_ana_1_1"), "Up."), serve("Deep.")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        inner = DefaultPattern(initial_agent=ben, agents=[ben], group_after_work=TerminateTarget())
        GroupChatConfig.model_rebuild(_types_namespace={"Pattern": Any})  # AG2 leaves that to whoever uses it.
        target = GroupChatTarget(group_chat_config=GroupChatConfig(pattern=inner, messages="Go deeper.", max_rounds=3))
        deep = StringLLMCondition(prompt="When it is deep")
        ana.handoffs.add_llm_condition(OnCondition(target=target, condition=deep))
        pattern = DefaultPattern(initial_agent=ana, agents=[ana], group_after_work=TerminateTarget())
        await group_chat(pattern, mode, max_rounds=5)
    a = "" if mode == "sync" else "a_"
    executes = f"_{a if AG2_VERSION >= (0, 13) else ''}generate_group_tool_reply"
    check(
        f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  round 1 of 5
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: transfer_to_wrapped_group_ana_1_1()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 5
                    groupchat_select_speaker ana -> _Group_Tool_Executor (Tool calls)
                    reply _Group_Tool_Executor {a}generate_reply: Transfer to wrapped_group_ana_1 [internal]
                      reply_function {executes}
                        tool_call transfer_to_wrapped_group_ana_1_1 by _Group_Tool_Executor
                  swarm_on_condition ana -> wrapped_group_ana_1: ON_CONDITION When it is deep
                    * swarm_transition ana -> wrapped_group_ana_1
                  round 3 of 5
                    groupchat_select_speaker _Group_Tool_Executor -> wrapped_group_ana_1 (ON_CONDITION)
                    reply wrapped_group_ana_1 {a}generate_reply: Deep. [internal]
                      reply_function group_chat_reply
                        chat initiate_chat _User -> chat_manager
                          reply chat_manager generate_reply: None
                            reply_function run_chat
                              group_chat run_chat chat_manager: No eligible speaker
                                round 1 of 3
                                  * agent_transition _User -> ben
                                  groupchat_select_speaker _User -> ben (Initial agent)
                                  reply ben generate_reply: Deep.
                                    reply_function generate_oai_reply
                                      llm_call gpt-4o-mini of ben
                                round 2 of 3
                                  * swarm_transition ben -> nobody
                                  groupchat_select_speaker ben -> - (-)
                          summary last_msg: Deep.
                  round 4 of 5
                    * swarm_transition wrapped_group_ana_1 -> ana
                    groupchat_select_speaker wrapped_group_ana_1 -> ana (AFTER_WORK)
                    reply ana {a}generate_reply: Up.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 5 of 5
            summary last_msg: Up.
        """,
        *servers,
        hidden=(*QUIET, "tool_execution"),
    )
