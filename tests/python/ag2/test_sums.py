"""What each kind of program costs: its calls, its agents and its models add up to the run, and to what was served.

Beside it the whole tree, of programs that no other file of these tests draws whole.
"""

from __future__ import annotations

import pytest
import test_streams
from autogen import Cache, GroupChat, GroupChatManager, initiate_chats
from autogen.agentchat.chat import a_initiate_chats
from autogen.oai.client import OpenAIClient
from conftest import speaker
from model_server import Answer, Failure
from test_chat import MODES, chat
from test_chats import queue
from test_llm import configurations
from test_tools import asked, double_badly, team


def the_last(last_speaker, group):
    return group.agents[-1]


SHORT = ("console_print", "agent_creation", "agent_send_msg", "finding")
"""Not shown where calls are."""

REASONS = {
    "random": "Random selection",
    "manual": "Manually selected by user",
    the_last: "Callable, the_last",
}


@pytest.mark.parametrize("method", REASONS)
@pytest.mark.parametrize("mode", MODES)
async def test_a_group_chat_whose_speakers_no_model_selects(mode, method, traced, serve, check, monkeypatch):
    monkeypatch.setattr("random.choice", lambda agents: agents[-1])
    monkeypatch.setattr("builtins.input", lambda prompt="": "3")
    server = serve("two", "three")
    with traced():
        ana, bea, cal = speaker("ana", None), speaker("bea", None), speaker("cal", server)
        group = GroupChat([ana, bea, cal], [], max_round=3, speaker_selection_method=method)
        await chat(ana, GroupChatManager(group, llm_config=False), mode, message="one")
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat ana -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  round 1 of 3
                    * agent_transition ana -> cal
                    groupchat_select_speaker ana -> cal ({REASONS[method]})
                    reply cal {a}generate_reply: two
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of cal
                  round 2 of 3
                    groupchat_select_speaker cal -> cal ({REASONS[method]})
                    reply cal {a}generate_reply: three
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of cal
                  round 3 of 3
            summary last_msg: three
        """,
        server,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_nested_chat_by_a_function_of_the_programs_own(mode, traced, serve, check):
    def in_two_words(chat_queue, recipient, messages, sender, config):
        chats = [{**entry, "sender": recipient, "message": messages[-1]["content"]} for entry in chat_queue]
        return True, f"In two words: {initiate_chats(chats)[-1].summary}"

    async def in_two_words_later(chat_queue, recipient, messages, sender, config):
        chats = [{**entry, "sender": recipient, "message": messages[-1]["content"]} for entry in chat_queue]
        results = await a_initiate_chats(chats)
        return True, f"In two words: {results[1].summary}"

    server, own = serve("no way"), in_two_words if mode == "sync" else in_two_words_later
    with traced():
        boss, ann, pam = speaker("boss", None), speaker("ann", None), speaker("pam", server)
        ann.register_nested_chats(
            queue({"recipient": pam, "chat_id": 1}),
            trigger=boss,
            reply_func_from_nested_chats=own,
            use_async=mode == "async",
        )
        await chat(boss, ann, mode, message="May I?", max_turns=1)
    a, later = ("", "") if mode == "sync" else ("a_", "_later")
    check(
        f"""
        workflow
          chat {a}initiate_chat boss -> ann
            round 1 of 1
              reply ann {a}generate_reply: In two words: no way
                reply_function in_two_words{later}
                  nested_chat in_two_words{later} of 1 for ann: In two words: no way
                    chats {a}initiate_chats of 1
                      chat {a}initiate_chat ann -> pam
                        round 1 of 1
                          reply pam {a}generate_reply: no way
                            reply_function {a}generate_oai_reply
                              llm_call gpt-4o-mini of pam
                        summary last_msg: no way
            summary last_msg: In two words: no way
        """,
        server,
    )


async def test_chats_as_tasks_that_wait_for_one_another(traced, serve, check):
    servers = [serve("a plan"), serve("a name"), serve("a text")]
    with traced():
        boss = speaker("boss", None)
        ann, ben, cat = (speaker(name, server) for name, server in zip(("ann", "ben", "cat"), servers, strict=True))
        await a_initiate_chats(
            queue(
                {"chat_id": 1, "sender": boss, "recipient": ann, "message": "one"},
                {"chat_id": 2, "sender": boss, "recipient": ben, "message": "two", "prerequisites": [1]},
                {"chat_id": 3, "sender": boss, "recipient": cat, "message": "three", "prerequisites": [1, 2]},
            )
        )
    check(
        """
        workflow
          chats a_initiate_chats of 3
            chat a_initiate_chat boss -> ann
              round 1 of 1
                reply ann a_generate_reply: a plan
              summary last_msg: a plan
            chat a_initiate_chat boss -> ben
              round 1 of 1
                reply ben a_generate_reply: a name
              summary last_msg: a name
            chat a_initiate_chat boss -> cat
              round 1 of 1
                reply cat a_generate_reply: a text
              summary last_msg: a text
        """,
        *servers,
        hidden=(*SHORT, "cost", "llm_create", "reply_function"),
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_that_fails(mode, traced, serve, check):
    server = serve(asked(), "Oh.")
    with traced():
        caller, executor = team(server, double_badly)
        await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat executor -> caller
            round 1 of 2
              reply caller {a}generate_reply: double()
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of caller
            round 2 of 2
              reply executor {a}generate_reply: Error: no double of 21
                reply_function {a}generate_tool_calls_reply
                  tool_call double by executor
                    * tool_execution double: Error: no double of 21
              reply caller {a}generate_reply: Oh.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of caller
            summary last_msg: Oh.
        """,
        server,
    )


@pytest.mark.skipif(not hasattr(OpenAIClient, "_add_streaming_usage_to_params"), reason="it does not ask for usage")
@pytest.mark.parametrize("mode", MODES)
async def test_streamed_answers(mode, traced, serve, check):
    server = serve(*test_streams.script())
    with traced():
        caller, executor = test_streams.team(server)
        await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat executor -> caller
            round 1 of 2
              * console_print text
              * console_print tool_call
              reply caller {a}generate_reply: double()
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of caller
                    * cost
                    * console_print stream
                    * llm_create answered
            round 2 of 2
              * console_print tool_response
              * console_print text
              * console_print termination
              reply executor {a}generate_reply: 42
                reply_function {a}generate_tool_calls_reply
                  tool_call double by executor
                    * console_print execute_function
                    * console_print executed_function
                    * tool_execution double: 42
              reply caller {a}generate_reply: It is 42.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of caller
                    * cost
                    * console_print stream
                    * llm_create answered
            summary last_msg: It is 42.
        """,
        server,
        hidden=("agent_creation", "agent_send_msg"),
    )


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_of_the_cache(mode, traced, serve, check, costs, tmp_path):
    server = serve(Answer("Hi.", input_tokens=1000, output_tokens=100))
    with traced(), Cache.disk(cache_seed=1, cache_path_root=str(tmp_path)) as cache:
        jack, emma = speaker("jack", None), speaker("emma", server)
        for _ in range(2):
            await chat(jack, emma, mode, message="Hello?", max_turns=1, cache=cache)
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat jack -> emma
            round 1 of 1
              reply emma {a}generate_reply: Hi.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of emma
                    * cost
                    * llm_create answered
            summary last_msg: Hi.
          chat {a}initiate_chat jack -> emma
            round 1 of 1
              reply emma {a}generate_reply: Hi.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of emma
                    * cost
                    * llm_create cached
            summary last_msg: Hi.
        """,
        server,
        hidden=SHORT,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_another_configuration_answers(mode, traced, serve, check):
    servers = [serve(Failure(500)), serve(Failure(401, "who are you")), serve("Hi.")]
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None, llm_config=configurations(*servers))
        await chat(jack, emma, mode, message="Hello?", max_turns=1)
    a = "" if mode == "sync" else "a_"
    check(
        f"""
        workflow
          chat {a}initiate_chat jack -> emma
            round 1 of 1
              reply emma {a}generate_reply: Hi.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of emma
                    * cost
                    * llm_create failed
                    * llm_create failed
                    * llm_create answered
            summary last_msg: Hi.
        """,
        *servers,
        hidden=SHORT,
    )
