"""What of messages is recorded, and what is taken out of texts: before anything leaves the program's hands."""

from __future__ import annotations

import re

import callboard
import pytest
from callboard import (
    EventKind,
    InstrumentationManager,
    OpenTelemetryProvider,
    SpanKind,
    redaction,
    telemetry_context,
)
from harness import Recorder


def recorded(*, messages=None, override=None, **options):
    """What a provider is given of a run that records a few texts: everything as one text, and by key."""
    manager = InstrumentationManager(**options)
    recorder = Recorder()
    manager.register_provider(recorder)
    with telemetry_context(manager, "Run of ann@example.org", {"note": "ann@example.org"}, **(override or {})):
        span = manager.start_span(SpanKind.REPLY, attributes={"ag2.reply": "Write to ann@example.org.", "ag2.round": 1})
        span.set_attribute("ag2.message", {"content": "from ann@example.org", "parts": ["ann@example.org", 7]})
        span.set_attribute("ag2.messages", span.messages("ann", messages or [{"content": "ann@example.org"}] * 2))
        manager.record_event(EventKind.AGENT_SEND_MSG, {"ag2.message": "ann@example.org", "ag2.agent.sender": "ann"})
        span.record_exception(ValueError("ann@example.org is nobody"))
        span.set_error("ann@example.org")
        span.end()
    assert manager.flush(10)
    return recorder


def test_everything_by_default():
    calls = repr(recorded().calls)
    assert calls.count("ann@example.org") >= 9


def test_redacted_wherever_it_stands():
    calls = repr(recorded(redact=redaction.EMAIL_ADDRESSES).calls)
    assert "ann@" not in calls
    assert calls.count("[e-mail address]") >= 9


@pytest.mark.parametrize(
    "redact",
    [
        lambda text: text.replace("ann@example.org", "[X]"),
        r"ann@\S+org",
        re.compile(r"ANN@\S+ORG", re.IGNORECASE),
        [redaction.CARD_NUMBERS, redaction.Pattern(r"ann@\S+org", "[X]")],
    ],
)
def test_by_a_function_or_patterns(redact):
    assert "ann@" not in repr(recorded(redact=redact).calls)


@pytest.mark.parametrize("redact", [lambda text: 1 / 0, lambda text: None])
def test_what_fails_to_redact_lets_nothing_out(redact, caplog):
    calls = repr(recorded(redact=redact).calls)
    assert "ann@" not in calls
    assert "[redaction failed]" in calls


def test_nothing_of_messages():
    calls = repr(recorded(capture_content="none").calls)
    assert "Write to" not in calls
    assert "from ann" not in calls
    assert "'ag2.round': 1" in calls
    assert "'ag2.agent.sender': 'ann'" in calls


def test_the_beginnings_of_messages():
    recorder = recorded(capture_content=5, messages=[{"role": "user", "content": "äöüßäöüß"}])
    calls = repr(recorder.calls)
    assert "'Write… [20 characters cut]'" in calls
    assert "'äöüßä… [3 characters cut]'" in calls
    assert "'note': 'ann@example.org'" in calls, "it is no message"


WHO = "ann@example.org"


def exported(collector, **options):
    """What a collector is sent of a run that fails in several ways, as one text."""
    address, taken = collector
    manager = InstrumentationManager(**options)
    manager.register_provider(OpenTelemetryProvider(f"{address}/v1/traces", protocol="http/json"))
    with telemetry_context(manager) as telemetry:
        telemetry.start_span(SpanKind.TOOL_CALL).set_error(f"no letter for {WHO}")
        telemetry.end_span()
        try:
            raise LookupError(f"no letter for {WHO}")
        except LookupError as cause:
            try:
                raise ValueError(f"{WHO} is nobody") from cause
            except ValueError as error:
                telemetry.start_span(SpanKind.REPLY).end(error)
    return repr([request for _, _, request in taken])


def test_what_errors_quote_is_content(collector):
    whole = exported(collector)
    assert whole.count("no letter for ann@example.org") == 2, "the status of one span, the stack of the other"
    assert whole.count("ann@example.org is nobody") == 3, "its status, its message and its stack"


@pytest.mark.parametrize(("capture_content", "cut"), [("none", ""), (6, "ann@ex… [19 characters cut]")])
def test_errors_keep_their_class_and_frames_without_content(collector, capture_content, cut):
    told = exported(collector, capture_content=capture_content)
    assert "ann@example" not in told.replace('raise ValueError(f"{WHO} is nobody") from cause', "")
    assert "'ValueError'" in told
    assert "in exported" in told, "the stack"
    assert cut in told
    assert "'code': 2" in told, "the status"


def test_the_form_of_a_message_is_whole():
    message = {
        "role": "assistant",
        "name": "weather_man",
        "content": [{"type": "text", "text": "It rains in Paris."}],
        "tool_calls": [
            {
                "id": "call_4111111111111111",
                "type": "function",
                "function": {"name": "look_up", "arguments": "{'k': 1}"},
            }
        ],
        "parts": [{"type": "tool_call", "name": "look_up", "arguments": {"name": "Ann of Paris", "id": "of her own"}}],
    }
    recorder = recorded(capture_content=4, redact=redaction.CARD_NUMBERS, messages=[message])
    [told] = recorder.set_on("reply")["ag2.messages"]
    assert told == {
        "role": "assistant",
        "name": "weather_man",
        "content": [{"type": "text", "text": "It r… [14 characters cut]"}],
        "tool_calls": [
            {
                "id": "call_4111111111111111",
                "type": "function",
                "function": {"name": "look_up", "arguments": "{'k'… [4 characters cut]"},
            }
        ],
        "parts": [
            {
                "type": "tool_call",
                "name": "look_up",
                "arguments": {"name": "Ann … [8 characters cut]", "id": "of h… [6 characters cut]"},
            }
        ],
    }


def test_a_context_may_have_rules_of_its_own():
    override = {"capture_content": "none"}
    calls = repr(recorded(redact=redaction.EMAIL_ADDRESSES, override=override).calls)
    assert "Write to" not in calls
    assert "ann@" not in calls
    assert "Write to ann@example.org." in repr(
        recorded(capture_content="none", override={"capture_content": "full"}).calls
    )


@pytest.mark.parametrize(
    ("value", "is_recorded"),
    [
        ("NO_CONTENT", False),
        ("false", False),
        ("SPAN_ONLY", True),
        ("SPAN_AND_EVENT", True),
        ("true", True),
        ("", True),
    ],
)
def test_the_environment_says_so(value, is_recorded, monkeypatch):
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    assert ("Write to" in repr(recorded().calls)) == is_recorded
    assert "Write to" in repr(recorded(capture_content="full").calls), "an argument goes before it"


@pytest.mark.parametrize("given", ["some", 0, -1, True, 1.5])
def test_an_amount_that_is_none(given):
    with pytest.raises(ValueError, match="capture_content must be 'full', 'none' or how many characters"):
        InstrumentationManager(capture_content=given)
    with pytest.raises(ValueError, match="capture_content must be"):
        telemetry_context(InstrumentationManager(), capture_content=given)


@pytest.mark.parametrize(
    ("given", "error"), [(5, TypeError), ([b"x"], TypeError), ("(", ValueError), (re.compile(b"x"), TypeError)]
)
def test_what_redacts_nothing(given, error):
    with pytest.raises(error, match=r"redact takes a function|is no regular expression"):
        InstrumentationManager(redact=given)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("use sk-proj-abcDEF0123456789abcdef now", "use [key] now"),
        ("sk-ant-api03-AbCdEfGhIjKlMnOpQrSt", "[key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("ghp_" + "a" * 36, "[token]"),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer [token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[token]"),
        ('{"api_key": "hunter2hunter2"}', '{"[secret]"}'),
        ("password=correcthorse", "[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nand", "[key]\nand"),
        ("mail ann.b+c@mail.example.org, please", "mail [e-mail address], please"),
        ("card 4111 1111 1111 1111.", "card [card number]."),
        ("no card 4111 1111 1111 1112.", "no card 4111 1111 1111 1112."),
        ("the task-force asked a question at 12:30", "the task-force asked a question at 12:30"),
        ("a secret garden, and the password is gone", "a secret garden, and the password is gone"),
    ],
)
def test_the_ready_patterns(text, left):
    assert redaction.redactor(redaction.READY)(text) == left


def test_ids_are_left():
    manager = InstrumentationManager(redact=redaction.READY)
    recorder = Recorder()
    manager.register_provider(recorder)
    with telemetry_context(manager, "ids", {"ag2.agent.sender.id": "4111111111111111"}):
        pass
    assert manager.flush(10)
    assert "4111111111111111" in repr(recorder.calls)


CARD = 4111111111111111


def attribute_of(key, value, **options):
    """What an attribute is recorded as."""
    manager = InstrumentationManager(**options)
    recorder = Recorder()
    manager.register_provider(recorder)
    with telemetry_context(manager, "value"):
        callboard.current_span().record_event("told", {key: value})
    assert manager.flush(10)
    return recorder.events("told")[0][key]


@pytest.mark.parametrize(
    ("key", "value", "left"),
    [
        ("mine", {"ann@example.org": 1, "id": "ann@example.org"}, {"[e-mail address]": 1, "id": "[e-mail address]"}),
        ("mine", [b"ann@example.org", bytearray(b"to \xff ann@x.org")], ["[e-mail address]", "to � [e-mail address]"]),
        ("mine", b"\xff\x00", b"\xff\x00"),
        ("mine", {"card": CARD, "count": 411111}, {"card": "[card number]", "count": 411111}),
        ("mine", CARD + 1, CARD + 1),
        ("ag2.message", {"id": CARD, "content": CARD}, {"id": CARD, "content": "[card number]"}),
        ("gen_ai.tool.call.arguments", {"ann@x.org": {"id": CARD}}, {"[e-mail address]": {"id": "[card number]"}}),
        ("ag2.rounds_max", CARD, CARD),
    ],
)
def test_keys_bytes_and_numbers(key, value, left):
    assert attribute_of(key, value, redact=redaction.READY) == left


def test_bytes_are_cut_as_text_is():
    assert attribute_of("ag2.message", b"0123456789", capture_content=4).startswith("0123")
    assert attribute_of("ag2.message", b"0123", capture_content=4) == b"0123"
    assert attribute_of("mine", b"0123456789", capture_content=4) == b"0123456789"


def test_a_run_is_of_a_session_a_user_and_tags():
    manager = InstrumentationManager()
    recorder = Recorder()
    manager.register_provider(recorder)
    with telemetry_context(manager, "Run", {"a": 1}, session="s1", user="u1", tags=("new", "beta")):
        root = manager.get_current_span()
    assert root.attributes == {"a": 1, "session.id": "s1", "user.id": "u1", "tag.tags": ["new", "beta"]}
    assert callboard.redaction is redaction
