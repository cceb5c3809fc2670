"""Images in messages: recorded by reference, wherever the message is, while the program keeps what it has."""

from __future__ import annotations

import base64
import hashlib
import json
import random

import pytest
from autogen import OpenAIWrapper
from callboard.ag2.images import by_reference
from conftest import llm_config, speaker
from test_chat import MODES, chat

PIXELS = random.Random(7).randbytes(100_000)
URL = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"
REFERENCE = f"callboard:image/png;bytes=100000;sha256={hashlib.sha256(PIXELS).hexdigest()[:16]}"


def message(url, **more):
    question = {"type": "text", "text": "What is this?"}
    return {"role": "user", "content": [question, {"type": "image_url", "image_url": {"url": url, **more}}]}


def everything(recorder):
    """All that was recorded, as text."""
    assert recorder.root
    return json.dumps([[span.attributes, span.events] for span in recorder.spans.values()], default=str)


@pytest.mark.parametrize("mode", MODES)
async def test_wherever_a_message_is_recorded(mode, recorder, traced, serve):
    server = serve("A cat.", "Yes.")
    shown = message(URL, detail="low")
    with traced():
        ana, ben = speaker("ana", None, default_auto_reply="Sure?"), speaker("ben", server)
        result = await chat(ana, ben, mode, message=shown, max_turns=2)

    assert "base64" not in everything(recorder)
    recorded = message(REFERENCE, detail="low")["content"]
    root = recorder.root
    first, second = root.all("llm_call")
    assert root.only("chat")["ag2.chat.initial_message"]["content"] == recorded
    assert root.only("chat")["ag2.chat_result.chat_history"][0]["content"] == recorded
    assert root.found("agent_send_msg")[0]["ag2.message"]["content"] == recorded
    assert first["gen_ai.input.messages"][1]["content"] == recorded
    assert second["gen_ai.input.messages"][1]["content"] == recorded
    assert second.event("llm_create")["ag2.llm.params"]["messages"] == second["gen_ai.input.messages"]
    for reply in root.all("reply"):
        assert reply["ag2.messages.start"][0]["content"] == recorded
    for attempt in root.all("reply_function"):
        assert attempt.attributes.get("ag2.messages", [{"content": recorded}])[0]["content"] == recorded

    assert shown == message(URL, detail="low")
    assert result.chat_history[0]["content"] == shown["content"]
    for exchange in server.exchanges:
        assert exchange.request["messages"][1]["content"] == shown["content"]


def test_a_reply_with_an_image(recorder, traced):
    with traced():
        ana, ben = speaker("ana", None), speaker("ben", None)
        ben.register_reply(lambda _: True, lambda *_, **__: (True, message(URL)), position=0)
        ana.initiate_chat(ben, message="Draw.", max_turns=1)
    assert "base64" not in everything(recorder)
    assert recorder.root.only("reply")["ag2.reply"]["content"] == message(REFERENCE)["content"]


def test_addresses_and_texts_stay():
    web = message("https://a.test/cat.png")
    assert by_reference(web) is web
    quoted = {"role": "user", "content": [{"type": "text", "text": URL}]}
    assert by_reference(quoted) is quoted
    plain = {"role": "user", "content": URL}
    assert by_reference(plain) is plain


@pytest.mark.parametrize(
    ("url", "reference"),
    [
        ("data:image/svg+xml,%3Csvg/%3E", b"<svg/>"),
        ("data:image/svg+xml;charset=utf-8,%3Csvg/%3E", b"<svg/>"),
        ("data:image/svg+xml;charset=utf-8;base64,PHN2Zy8+", b"<svg/>"),
        ("data:image/svg+xml;base64,not", b"not"),
        ("data:image/svg+xml;base64,ü", "ü".encode()),
    ],
)
def test_data_in_other_forms(url, reference):
    [_, part] = by_reference(message(url))["content"]
    digest = hashlib.sha256(reference).hexdigest()[:16]
    assert part["image_url"]["url"] == f"callboard:image/svg+xml;bytes={len(reference)};sha256={digest}"


def test_an_image_that_stands_for_itself():
    """As OpenAI's API of responses has it."""
    part = {"type": "input_image", "image_url": URL}
    recorded = by_reference({"role": "user", "content": [part]})
    assert recorded == {"role": "user", "content": [{"type": "input_image", "image_url": REFERENCE}]}


ENCODED = base64.b64encode(PIXELS).decode()


def reference(media_type):
    return REFERENCE.replace("image/png", media_type)


@pytest.mark.parametrize(
    ("part", "path", "media_type"),
    [
        ({"type": "input_audio", "input_audio": {"data": ENCODED, "format": "wav"}}, "input_audio.data", "audio/wav"),
        (
            {"type": "file", "file": {"file_data": ENCODED, "filename": "a.pdf"}},
            "file.file_data",
            "application/pdf",
        ),
        ({"type": "file", "file": {"file_data": ENCODED}}, "file.file_data", "application/octet-stream"),
        ({"type": "file", "file": {"file_data": URL}}, "file.file_data", "image/png"),
        ({"type": "input_file", "filename": "a.pdf", "file_data": ENCODED}, "file_data", "application/pdf"),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": ENCODED}},
            "source.data",
            "image/webp",
        ),
        ({"type": "image", "data": ENCODED, "mimeType": "image/gif"}, "data", "image/gif"),
        ({"type": "resource", "resource": {"blob": ENCODED, "mimeType": "audio/ogg"}}, "resource.blob", "audio/ogg"),
    ],
)
def test_data_that_is_no_url(part, path, media_type):
    said = {"role": "user", "content": [{"type": "text", "text": "Listen."}, part]}
    recorded = by_reference(said)
    assert ENCODED not in json.dumps(recorded)
    found = recorded["content"][1]
    for key in path.split("."):
        found = found[key]
    assert found == reference(media_type)
    assert ENCODED in json.dumps(said)
    assert by_reference(recorded) is recorded


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "These are words."}},
        {"type": "table", "data": "1,2", "format": "csv"},
        {"type": "table", "data": "1,2"},
        {"type": "input_audio", "input_audio": {"data": None, "format": ["wav"]}},
    ],
)
def test_what_does_not_say_that_it_is_base64_stays(part):
    said = {"role": "user", "content": [part]}
    assert by_reference(said) is said


def test_a_sound_that_a_model_is_asked_about(recorder, traced, serve):
    """Asked directly: AG2's agents print what they send, and cannot print this."""
    server = serve("A cat.")
    part = {"type": "input_audio", "input_audio": {"data": ENCODED, "format": "wav"}}
    with traced():
        OpenAIWrapper(**llm_config(server)).create(messages=[{"role": "user", "content": [part]}])
    assert ENCODED not in everything(recorder)
    recorded = recorder.root.only("llm_call")["gen_ai.input.messages"][0]["content"]
    assert recorded == [{"type": "input_audio", "input_audio": {"data": reference("audio/wav"), "format": "wav"}}]
    [exchange] = server.exchanges
    assert exchange.request["messages"][0]["content"] == [part]


def test_an_image_that_is_changed_in_place(recorder, traced, serve):
    wrapper = OpenAIWrapper(**llm_config(serve("A cat.", "A dog.", "Two.")))
    history = [message(URL)]
    with traced():
        agent = speaker("ben", None)
        wrapper.create(messages=history, agent=agent)
        history[0]["content"][1] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        wrapper.create(messages=history, agent=agent)
        history[0]["content"].append({"type": "image_url", "image_url": {"url": URL}})
        history += [{"role": "assistant", "content": "A dog."}, {"role": "user", "content": "And now?"}]
        wrapper.create(messages=history, agent=agent)
    urls = [
        [part["image_url"]["url"] for part in call["gen_ai.input.messages"][0]["content"][1:]]
        for call in recorder.root.all("llm_call")
    ]
    small = f"callboard:image/png;bytes=3;sha256={hashlib.sha256(bytes(3)).hexdigest()[:16]}"
    assert urls == [[REFERENCE], [small], [small, REFERENCE]]


def test_an_object_that_does_not_compare(recorder, traced, serve):
    class Picky:
        def __eq__(self, other):
            raise ValueError("the truth value is ambiguous")

        __hash__ = None

    wrapper = OpenAIWrapper(**llm_config(serve("A cat.", "A cat.")))
    with traced():
        agent = speaker("ben", None)
        for _ in range(2):
            about = {"role": "user", "content": "Hello?", "about": Picky()}
            with pytest.raises(TypeError):  # It cannot be sent either.
                wrapper.create(messages=[about, message(URL)], agent=agent)
    assert len(recorder.root.all("llm_call")) == 2
    assert "base64" not in everything(recorder)
