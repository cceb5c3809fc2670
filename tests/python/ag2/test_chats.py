"""Several chats: one after another (`initiate_chats`), as tasks that wait for one another (`a_initiate_chats`)."""

from __future__ import annotations

import autogen
from autogen import initiate_chats
from autogen.agentchat.chat import a_initiate_chats
from conftest import speaker
from test_chat import tree


def queue(*entries):
    return [{"max_turns": 1, "summary_method": "last_msg", **entry} for entry in entries]


def test_one_after_another(recorder, traced, serve):
    with traced():
        boss = speaker("boss", None)
        ann, ben = speaker("ann", serve("plan")), speaker("ben", serve("text"))
        results = boss.initiate_chats(
            queue({"recipient": ann, "message": "Plan it."}, {"recipient": ben, "message": "Write it."})
        )
    assert [result.summary for result in results] == ["plan", "text"]
    assert recorder.tree("console_print", "agent_creation", "reply_function") == tree("""
        workflow
          chats initiate_chats of 2
            chat initiate_chat boss -> ann
              round 1 of 1
                * agent_send_msg boss -> ann: Plan it.
                * agent_send_msg ann -> boss: plan
                reply ann generate_reply: plan
              summary last_msg: plan
            chat initiate_chat boss -> ben
              round 1 of 1
                * agent_send_msg boss -> ben: Write it. / Context:  / plan
                * agent_send_msg ben -> boss: text
                reply ben generate_reply: text
              summary last_msg: text
    """)


async def test_chats_that_wait_for_one_another(recorder, traced, serve):
    with traced():
        boss = speaker("boss", None)
        ann, ben, cat = (speaker(name, serve(f"{name}'s")) for name in ("ann", "ben", "cat"))
        results = await a_initiate_chats(
            queue(
                {"chat_id": 1, "sender": boss, "recipient": ann, "message": "one"},
                {"chat_id": 2, "sender": boss, "recipient": ben, "message": "two"},
                {"chat_id": 3, "sender": boss, "recipient": cat, "message": "three", "prerequisites": [1, 2]},
            )
        )
    assert results[3].summary == "cat's"
    chats = recorder.root.only("chats")
    assert (chats["ag2.chat_function"], chats["ag2.chat_queue_length"]) == ("a_initiate_chats", 3)
    assert [chat["ag2.agent.recipient"] for chat in chats.children] == ["ann", "ben", "cat"]
    assert [chat.only("llm_call")["gen_ai.agent.name"] for chat in chats.children] == ["ann", "ben", "cat"]
    assert "ann's\nben's" in chats.children[2]["ag2.chat.initial_message"]


def test_a_name_that_the_program_imported_before(recorder, traced, serve):
    """This module imported `initiate_chats` long before the run, as programs do."""
    before = initiate_chats
    with traced():
        boss, ann = speaker("boss", None), speaker("ann", serve("plan"))
        assert initiate_chats is not before
        initiate_chats(queue({"sender": boss, "recipient": ann, "message": "Plan it."}))
    assert recorder.root.only("chats")["ag2.chat_queue_length"] == 1
    assert initiate_chats is before is autogen.initiate_chats


def test_an_exception_in_a_chat(recorder, traced):
    def broken(sender, recipient, context):
        raise RuntimeError("no message")

    with traced():
        boss, ann = speaker("boss", None), speaker("ann", None)
        try:
            initiate_chats(queue({"sender": boss, "recipient": ann, "message": broken}))
        except RuntimeError as error:
            caught = error
    assert str(caught) == "no message"
    assert recorder.tree("agent_creation", "console_print") == tree("""
        workflow
          chats initiate_chats of 1 !! RuntimeError: no message
            chat initiate_chat boss -> ann !! RuntimeError: no message
    """)
