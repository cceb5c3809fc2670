"""Streamed answers: when the first piece came, whatever takes the pieces, and that the program gets the same."""

from __future__ import annotations

import re
import time

import pytest
from autogen import OpenAIWrapper
from autogen.io.base import IOStream
from autogen.oai.client import OpenAIClient
from conftest import llm_config, served, speaker, untraced
from model_server import Answer, Failure, ToolCall
from openai.resources.chat.completions import Completions
from test_chat import MODES, chat

DELAY_S = 0.05


@pytest.fixture(autouse=True)
def counted_tokens(monkeypatch):
    """AG2 0.9 counts streamed tokens itself, by a vocabulary that it would download."""
    monkeypatch.setattr("autogen.oai.client.count_token", lambda *_, **__: 5, raising=False)


def streaming(server, stream=True):
    config = llm_config(server)
    config["config_list"][0]["stream"] = stream
    return config


def count(config):
    OpenAIWrapper(**config).create(messages=[{"role": "user", "content": "Count."}])


def double(x: int) -> int:
    return x * 2


def team(server):
    caller = speaker("caller", None, llm_config=streaming(server))
    executor = speaker("executor", None)
    caller.register_for_llm(name="double", description="Doubles a number.")(double)
    executor.register_for_execution(name="double")(double)
    return caller, executor


def script(delay_s=0.0):
    return Answer(tool_calls=[ToolCall("double", {"x": 21})], delay_s=delay_s), Answer("It is 42.", delay_s=delay_s)


@pytest.mark.parametrize("mode", MODES)
async def test_text_and_tools(mode, recorder, traced, serve):
    server = serve(*script(DELAY_S))
    with traced():
        caller, executor = team(server)
        await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
    calls = recorder.root.all("llm_call")
    assert [call["gen_ai.request.stream"] for call in calls] == [True, True]
    assert [call["gen_ai.response.finish_reasons"] for call in calls] == [["tool_calls"], ["stop"]]
    for call in calls:
        assert type(call["gen_ai.response.time_to_first_chunk"]) is float
        assert DELAY_S <= call["gen_ai.response.time_to_first_chunk"] < 60
    if hasattr(OpenAIClient, "_add_streaming_usage_to_params"):  # Older versions do not ask what a stream used.
        assert recorder.spent() == served(server)


def test_it_is_the_first_piece_that_counts(recorder, traced, serve, monkeypatch):
    asked = []
    create = Completions.create

    def slow(self, **params):
        for chunk in create(self, **params):
            yield chunk
            asked.append(time.perf_counter())
            time.sleep(DELAY_S)

    monkeypatch.setattr(Completions, "create", slow)
    with traced():
        wrapper = OpenAIWrapper(**streaming(serve("one two three")))
        asked.append(time.perf_counter())
        wrapper.create(messages=[{"role": "user", "content": "Count."}])
    assert len(asked) > 4
    first = recorder.root.only("llm_call")["gen_ai.response.time_to_first_chunk"]
    assert 0 < first <= asked[1] - asked[0]


def test_pieces_that_go_elsewhere(recorder, traced, serve):
    class Elsewhere(IOStream):
        def __init__(self):
            self.pieces = []

        def print(self, *objects, **options):
            raise AssertionError("nothing is printed")

        def input(self, prompt="", *, password=False):
            raise AssertionError("nobody is asked")

        def send(self, message):
            self.pieces.append(message.content.content)

    elsewhere = Elsewhere()
    with traced(), IOStream.set_default(elsewhere):
        count(streaming(serve("one two")))
    assert "".join(elsewhere.pieces) == "one two"
    assert recorder.root.only("llm_call")["gen_ai.response.time_to_first_chunk"] > 0


def test_a_client_of_another_kind(recorder, traced):
    """Clients that AG2 has for other services send events of the pieces, too."""
    from autogen.events.client_events import StreamEvent

    class Client:
        def __init__(self, config, **options):
            pass

        def create(self, params):
            IOStream.get_default().send(StreamEvent(content="Hi."))
            raise RuntimeError("cut off")

        message_retrieval = cost = get_usage = None

    with traced():
        wrapper = OpenAIWrapper(config_list=[{"model": "m", "model_client_cls": "Client"}], cache_seed=None)
        wrapper.register_model_client(Client)
        with pytest.raises(RuntimeError, match="cut off"):
            wrapper.create(messages=[{"role": "user", "content": "Hello?"}])
    call = recorder.root.only("llm_call")
    assert call.error == "RuntimeError: cut off"
    assert call["gen_ai.response.time_to_first_chunk"] > 0


def test_what_is_not_streamed(recorder, traced, serve):
    with traced():
        count(streaming(serve("Hi."), stream=False))
        with pytest.raises(Exception, match="no such luck"):
            count(streaming(serve(Failure(400, "no such luck"))))
    whole, failed = recorder.root.all("llm_call")
    assert "gen_ai.request.stream" not in whole.attributes
    assert "gen_ai.response.time_to_first_chunk" not in whole.attributes
    assert failed["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" not in failed.attributes


@pytest.mark.parametrize("mode", MODES)
async def test_the_program_sees_no_difference(mode, traced, serve, console):
    async def program(around):
        with around():
            caller, executor = team(serve(*script()))
            result = await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
        printed = re.sub(r"TERMINATING RUN \(\S+\)", "TERMINATING RUN", console.readouterr().out)
        return result.chat_history, result.cost, printed

    assert await program(untraced) == await program(traced)
