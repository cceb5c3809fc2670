"""Chats of two agents, with and without rounds, plain and async: the tree they give."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from autogen import ConversableAgent
from conftest import speaker


def tree(text: str) -> str:
    return dedent(text).strip()


def ends(message: dict[str, Any]) -> bool:
    return "FINISH" in (message.get("content") or "")


async def chat(initiator: Any, recipient: Any, mode: str, **options: Any) -> Any:
    """`initiate_chat` or `a_initiate_chat`."""
    if mode == "sync":
        return initiator.initiate_chat(recipient, **options)
    return await initiator.a_initiate_chat(recipient, **options)


MODES = ("sync", "async")


@pytest.mark.parametrize("mode", MODES)
async def test_rounds(mode, recorder, traced, serve):
    jokes = serve("A goldfish joke.")
    laughs = serve("Ha. FINISH")
    with traced():
        jack = speaker("jack", laughs, is_termination_msg=ends)
        emma = speaker("emma", jokes, is_termination_msg=ends)
        result = await chat(jack, emma, mode, message="Tell me a joke.", max_turns=4)

    a = "" if mode == "sync" else "a_"
    assert result.summary == "Ha. FINISH"
    assert recorder.tree("console_print") == tree(f"""
        workflow
          * agent_creation jack
          * agent_creation emma
          chat {a}initiate_chat jack -> emma
            round 1 of 4
              * agent_send_msg jack -> emma: Tell me a joke.
              * agent_send_msg emma -> jack: A goldfish joke.
              reply emma {a}generate_reply: A goldfish joke.
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of emma
                    * cost
                    * llm_create answered
            round 2 of 4
              * agent_send_msg jack -> emma: Ha. FINISH
              reply jack {a}generate_reply: Ha. FINISH
                reply_function {a}generate_oai_reply
                  llm_call gpt-4o-mini of jack
                    * cost
                    * llm_create answered
              reply emma {a}generate_reply: None
                reply_function {a}check_termination_and_human_reply
            summary last_msg: Ha. FINISH
    """)


@pytest.mark.parametrize("mode", MODES)
async def test_without_rounds(mode, recorder, traced, serve):
    with traced():
        jack = speaker("jack", serve("two", "FINISH"))
        emma = speaker("emma", serve("one", "three"), is_termination_msg=ends)
        await chat(jack, emma, mode, message="zero")

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print", "reply_function") == tree(f"""
        workflow
          * agent_creation jack
          * agent_creation emma
          chat {a}initiate_chat jack -> emma
            * agent_send_msg jack -> emma: zero
            * agent_send_msg emma -> jack: one
            * agent_send_msg jack -> emma: two
            * agent_send_msg emma -> jack: three
            * agent_send_msg jack -> emma: FINISH
            reply emma {a}generate_reply: one
            reply jack {a}generate_reply: two
            reply emma {a}generate_reply: three
            reply jack {a}generate_reply: FINISH
            reply emma {a}generate_reply: None
            summary last_msg: FINISH
    """)
    assert [reply["callboard.exchange"] for reply in recorder.root.all("reply")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("mode", MODES)
async def test_the_round_limit(mode, recorder, traced, serve):
    with traced():
        jack = speaker("jack", serve("b", "d"))
        emma = speaker("emma", serve("a", "c"))
        await chat(jack, emma, mode, message="start", max_turns=2)

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print", "agent_send_msg", "agent_creation", "reply_function") == tree(f"""
        workflow
          chat {a}initiate_chat jack -> emma
            round 1 of 2
              reply emma {a}generate_reply: a
            round 2 of 2
              reply jack {a}generate_reply: b
              reply emma {a}generate_reply: c
            summary last_msg: c
    """)


def test_an_agent_that_chats_with_itself(recorder, traced, serve):
    with traced():
        jack = speaker("jack", serve("a", "b", "c"))
        jack.initiate_chat(jack, message="start", max_turns=2)
    rounds = recorder.root.only("chat").all("round")
    assert [[reply["ag2.reply"] for reply in one.all("reply")] for one in rounds] == [["a"], ["b", "c"]]


@pytest.mark.parametrize("mode", MODES)
async def test_an_override_with_other_arguments(mode, recorder, traced, recwarn, caplog):
    """It is a chat where it calls AG2's `initiate_chat`, whatever it takes itself."""

    class Briefly(ConversableAgent):
        def initiate_chat(self, message, peer=None):
            return super().initiate_chat(peer, message=message, max_turns=1, silent=True)

        async def a_initiate_chat(self, message, peer=None):
            return await super().a_initiate_chat(peer, message=message, max_turns=1, silent=True)

        def execute_function(self, name, func_call=None):
            return super().execute_function(func_call)

    with traced():
        jack = Briefly("jack", llm_config=False, human_input_mode="NEVER", default_auto_reply="x")
        emma = speaker("emma", None, default_auto_reply="Hi.")
        begin = jack.initiate_chat if mode == "sync" else jack.a_initiate_chat
        for given in ({"peer": emma}, {"message": "Hello.", "peer": emma}):
            result = begin(*([] if "message" in given else ["Hello."]), **given)
            result = result if mode == "sync" else await result
            assert result.summary == "Hi."
        jack.execute_function("double", func_call={"name": "double", "arguments": "{}"})
    chats = recorder.root.all("chat")
    assert [(one["ag2.agent.sender"], one["ag2.agent.recipient"]) for one in chats] == [("jack", "emma")] * 2
    assert recorder.root.only("tool_call")["gen_ai.tool.name"] == "double"
    assert not [warning for warning in recwarn if "callboard" in str(warning.message)]
    assert not [record for record in caplog.records if record.name.startswith("callboard")]
