"""What AG2 prints: the event's kind and its text; and what programs print themselves."""

from __future__ import annotations

import callboard
from autogen.events.base_event import BaseEvent, wrap_event
from autogen.io.base import IOStream
from conftest import Recorder, speaker


def test_the_text_is_what_stands_on_the_console(recorder, traced, serve, console):
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("Hi."))
        jack.initiate_chat(emma, message="Hello.", max_turns=1)
    printed = recorder.root.found("console_print")
    assert "".join(event["callboard.console.text"] for event in printed) == console.readouterr().out
    assert [event["ag2.console.event"] for event in printed][:2] == ["text", "text"]
    assert "jack (to emma):\n\nHello." in printed[0]["callboard.console.text"]


def test_colours_are_left_out(recorder, traced, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None)
        jack.send("Hello.", emma)
    assert recorder.root.event("console_print")["callboard.console.text"].startswith("jack (to emma):")


def test_silence(recorder, traced, serve):
    with traced():
        jack, emma = speaker("jack", None, silent=True), speaker("emma", None)
        jack.send("psst", emma)
    assert recorder.root.found("console_print") == []
    assert recorder.root.event("agent_send_msg")["ag2.silent"] is True


def test_an_event_of_the_program_is_printed_once(recorder, traced, console):
    @wrap_event
    class MineEvent(BaseEvent):
        words: str

        def print(self, f=None):
            print("printing", self.words)

    with traced():
        IOStream.get_default().send(MineEvent(words="mine"))
    assert console.readouterr().out == "printing mine\n"
    assert recorder.root.event("console_print") == {"ag2.console.event": "mine", "callboard.console.text": None}


def test_output_in_the_middle_of_a_reply_function(recorder, traced, serve):
    """A reply function without a span gets one when it prints."""
    with traced():
        emma = speaker("emma", serve(), is_termination_msg=lambda message: True)
        assert emma.generate_reply(messages=[{"role": "user", "content": "Bye."}]) is None
    [function] = recorder.root.all("reply_function")
    assert function["ag2.reply_function"] == "check_termination_and_human_reply"
    assert function["ag2.final"] is True
    kinds = [event["ag2.console.event"] for event in function.found("console_print")]
    assert kinds == [event["ag2.console.event"] for event in recorder.root.found("console_print")]


def test_a_manager_that_does_not_capture_the_console():
    manager = callboard.InstrumentationManager(capture_console=False)
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    with callboard.telemetry_context(manager):
        speaker("jack", None).send("Hello.", speaker("emma", None))
    assert recorder.root.found("console_print") == []
    assert len(recorder.root.found("agent_send_msg")) == 1
