"""Chats within a reply: registered before or after telemetry began, with AG2's reply function or one's own."""

from __future__ import annotations

import pytest
from autogen import GroupChat, GroupChatManager, initiate_chats
from conftest import served, speaker
from test_chat import MODES, chat, tree


def queue(*entries):
    return [{"max_turns": 1, "summary_method": "last_msg", "chat_id": n, **entry} for n, entry in enumerate(entries)]


@pytest.mark.parametrize("registered", ["before", "after"])
def test_two_nested_chats(registered, recorder, traced, serve):
    servers = [serve("a plan"), serve("a text")]
    boss, ann = speaker("boss", None), speaker("ann", None)
    pam, tom = speaker("pam", servers[0]), speaker("tom", servers[1])
    entries = queue({"recipient": pam, "message": "Plan it."}, {"recipient": tom, "message": "Write it."})
    if registered == "before":
        ann.register_nested_chats(entries, trigger=boss)
    with traced():
        if registered == "after":
            ann.register_nested_chats(entries, trigger=boss)
        result = boss.initiate_chat(ann, message="Go.", max_turns=1)

    assert result.summary == "a text"
    assert recorder.tree("console_print") == tree("""
        workflow
          chat initiate_chat boss -> ann
            round 1 of 1
              * agent_send_msg boss -> ann: Go.
              * agent_send_msg ann -> boss: a text
              reply ann generate_reply: a text
                reply_function _summary_from_nested_chats
                  nested_chat _summary_from_nested_chats of 2 for ann: a text
                    chats initiate_chats of 2
                      chat initiate_chat ann -> pam
                        round 1 of 1
                          * agent_send_msg ann -> pam: Plan it.
                          * agent_send_msg pam -> ann: a plan
                          reply pam generate_reply: a plan
                            reply_function generate_oai_reply
                              llm_call gpt-4o-mini of pam
                                * cost
                                * llm_create answered
                        summary last_msg: a plan
                      chat initiate_chat ann -> tom
                        round 1 of 1
                          * agent_send_msg ann -> tom: Write it. / Context:  / a plan
                          * agent_send_msg tom -> ann: a text
                          reply tom generate_reply: a text
                            reply_function generate_oai_reply
                              llm_call gpt-4o-mini of tom
                                * cost
                                * llm_create answered
                        summary last_msg: a text
            summary last_msg: a text
    """)
    nested = recorder.root.only("nested_chat")
    assert [message["content"] for message in nested["ag2.messages"]] == ["Go."]
    assert nested["ag2.chat_result.chat_history"][-1]["content"] == "a text"
    assert recorder.spent() == served(*servers)


@pytest.mark.parametrize("use_async", [False, True])
async def test_in_an_async_chat(use_async, recorder, traced, serve):
    with traced():
        boss, ann, pam = speaker("boss", None), speaker("ann", None), speaker("pam", serve("a plan"))
        entries = queue({"recipient": pam, "message": "Plan it."})
        ann.register_nested_chats(entries, trigger=boss, use_async=use_async)
        await boss.a_initiate_chat(ann, message="Go.", max_turns=1)

    a = "a_" if use_async else ""
    nested = recorder.root.only("nested_chat")
    assert nested["ag2.chat_function"] == f"_{a}summary_from_nested_chats"
    assert nested.only("chats")["ag2.chat_function"] == f"{a}initiate_chats"
    assert nested.only("chat")["ag2.agent.recipient"] == "pam"
    assert nested["ag2.chat_result.summary"] == "a plan"


def test_a_reply_function_of_the_programs_own(recorder, traced, serve):
    def in_two_words(chat_queue, recipient, messages, sender, config):
        chats = [{**entry, "sender": recipient, "message": messages[-1]["content"]} for entry in chat_queue]
        return True, f"In two words: {initiate_chats(chats)[-1].summary}"

    with traced():
        boss, ann, pam = speaker("boss", None), speaker("ann", None), speaker("pam", serve("no way"))
        ann.register_nested_chats(queue({"recipient": pam}), trigger=boss, reply_func_from_nested_chats=in_two_words)
        boss.initiate_chat(ann, message="May I?", max_turns=1)
    nested = recorder.root.only("nested_chat")
    assert nested["ag2.chat_function"] == "in_two_words"
    assert nested["ag2.chat_result.summary"] == "In two words: no way"
    assert nested.only("chat")["ag2.agent.sender"] == "ann"


def test_a_chat_that_a_plain_reply_function_starts(recorder, traced, serve):
    with traced():
        boss, ann, pam = speaker("boss", None), speaker("ann", None), speaker("pam", serve("yes"))

        def ask(recipient, messages=None, sender=None, config=None):
            return True, recipient.initiate_chat(pam, message="May I?", max_turns=1).summary

        ann.register_reply(boss, ask, position=0)
        boss.initiate_chat(ann, message="Go.", max_turns=1)
    assert recorder.tree("console_print", "agent_creation", "agent_send_msg", "summary") == tree("""
        workflow
          chat initiate_chat boss -> ann
            round 1 of 1
              reply ann generate_reply: yes
                reply_function ask
                  chat initiate_chat ann -> pam
                    round 1 of 1
                      reply pam generate_reply: yes
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of pam
                            * cost
                            * llm_create answered
    """)


def test_that_fails(recorder, traced):
    def fail(chat_queue, recipient, messages, sender, config):
        raise RuntimeError("no idea")

    with traced():
        boss, ann = speaker("boss", None), speaker("ann", None)
        ann.register_nested_chats(queue({"recipient": boss}), trigger=boss, reply_func_from_nested_chats=fail)
        with pytest.raises(RuntimeError, match="no idea"):
            boss.initiate_chat(ann, message="Go.", max_turns=1)
    assert recorder.root.only("nested_chat").error == "RuntimeError: no idea"


@pytest.mark.parametrize("mode", MODES)
async def test_in_a_group_chat_in_a_nested_chat(mode, recorder, traced, serve):
    servers = [serve("deep"), serve("up")]
    with traced():
        boss, ann = speaker("boss", None), speaker("ann", None)
        eve, pam, tom = speaker("eve", None), speaker("pam", servers[0]), speaker("tom", servers[1])
        eve.register_nested_chats(
            queue({"recipient": pam, "message": "How is it?"}), trigger=lambda sender: True, use_async=mode == "async"
        )
        group = GroupChat([eve, tom], [], max_round=3, speaker_selection_method="round_robin")
        manager = GroupChatManager(group, llm_config=False, name="manager")
        entry = {"recipient": manager, "message": "Talk."}
        ann.register_nested_chats(queue(entry), trigger=boss, use_async=mode == "async")
        await chat(boss, ann, mode, message="Go.", max_turns=1)

    a = "" if mode == "sync" else "a_"
    hidden = ("console_print", "agent_creation", "groupchat_creation", "agent_send_msg", "cost", "llm_create")
    assert recorder.tree(*hidden, "summary") == tree(f"""
        workflow
          chat {a}initiate_chat boss -> ann
            round 1 of 1
              reply ann {a}generate_reply: Talk.
                reply_function _{a}summary_from_nested_chats
                  nested_chat _{a}summary_from_nested_chats of 1 for ann: Talk.
                    chats {a}initiate_chats of 1
                      chat {a}initiate_chat ann -> manager
                        round 1 of 1
                          reply manager {a}generate_reply: None
                            reply_function {a}run_chat
                              group_chat {a}run_chat manager: Max rounds reached
                                round 1 of 3
                                  * agent_transition ann -> eve
                                  groupchat_select_speaker ann -> eve (Round robin selection)
                                  reply eve {a}generate_reply: deep
                                    reply_function _{a}summary_from_nested_chats
                                      nested_chat _{a}summary_from_nested_chats of 1 for eve: deep
                                        chats {a}initiate_chats of 1
                                          chat {a}initiate_chat eve -> pam
                                            round 1 of 1
                                              reply pam {a}generate_reply: deep
                                                reply_function {a}generate_oai_reply
                                                  llm_call gpt-4o-mini of pam
                                round 2 of 3
                                  * agent_transition eve -> tom
                                  groupchat_select_speaker eve -> tom (Round robin selection)
                                  reply tom {a}generate_reply: up
                                    reply_function {a}generate_oai_reply
                                      llm_call gpt-4o-mini of tom
                                round 3 of 3
    """)
    assert recorder.spent() == served(*servers)
