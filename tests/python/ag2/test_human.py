"""Humans asked: by the console, by a program's own way, and in the middle of a reply function."""

from __future__ import annotations

import pytest
from autogen import ConversableAgent
from conftest import speaker
from test_chat import MODES, chat, tree


@pytest.mark.parametrize("mode", MODES)
async def test_a_human_answers(mode, recorder, traced, serve, monkeypatch):
    answers = iter(["Why?", "exit"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(answers))
    with traced():
        human = speaker("human", None, human_input_mode="ALWAYS")
        emma = speaker("emma", serve("Because.", "So."))
        result = await chat(emma, human, mode, message="Hello.", max_turns=2)

    a = "" if mode == "sync" else "a_"
    assert result.human_input in ([], ["Why?", "exit"])
    assert recorder.tree("console_print", "agent_creation", "agent_send_msg", "llm_call") == tree(f"""
        workflow
          chat {a}initiate_chat emma -> human
            round 1 of 2
              reply human {a}generate_reply: Why?
                reply_function {a}check_termination_and_human_reply
                  human_input human: Why?
            round 2 of 2
              reply emma {a}generate_reply: Because.
                reply_function {a}generate_oai_reply
              reply human {a}generate_reply: None
                reply_function {a}check_termination_and_human_reply
                  human_input human: exit
            summary last_msg: Because.
    """)


def test_a_question_that_nobody_expected(recorder, traced):
    """In mode TERMINATE one cannot tell beforehand that the human will be asked."""

    class Quiet(ConversableAgent):
        def get_human_input(self, prompt, **kwargs):
            return "go on"

    with traced():
        quiet = Quiet("quiet", llm_config=False, is_termination_msg=lambda message: True)
        reply = quiet.generate_reply(messages=[{"role": "user", "content": "Done?"}])
    assert reply["content"] == "go on"
    function = recorder.root.only("reply").all("reply_function")[0]
    asked = function.only("human_input")
    assert function["ag2.reply_function"] == "check_termination_and_human_reply"
    assert function["ag2.final"] is True
    assert asked["ag2.human_input.response"] == "go on"
    assert asked["ag2.human_input.prompt"].startswith("Please give feedback to the sender.")


def test_an_override_that_calls_what_it_overrides(recorder, traced, monkeypatch):
    class Shouting(ConversableAgent):
        def get_human_input(self, prompt, **kwargs):
            return super().get_human_input(prompt, **kwargs).upper()

    monkeypatch.setattr("builtins.input", lambda prompt="": "yes")
    with traced():
        agent = Shouting("shouting", llm_config=False, human_input_mode="ALWAYS")
        assert agent.get_human_input("Well?") == "YES"
    assert recorder.root.only("human_input")["ag2.human_input.response"] == "YES"
