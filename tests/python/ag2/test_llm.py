"""Model calls: llm_call, LLM_CREATE, and one COST an answer."""

from __future__ import annotations

import json

import pytest
from autogen import Cache, OpenAIWrapper
from callboard import CostTrackerProvider
from conftest import llm_config, served, speaker
from model_server import Answer, Failure, ToolCall
from test_chat import MODES, chat

NO_USAGE = {
    "id": "chatcmpl-silent",
    "object": "chat.completion",
    "created": 0,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hm"}, "finish_reason": "stop"}],
}


def ask(wrapper, **config):
    return wrapper.create(messages=[{"role": "user", "content": "Hello?"}], **config)


def call_of(recorder):
    return recorder.root.only("llm_call")


def test_what_a_call_records(recorder, traced, serve):
    server = serve(Answer("Hi.", input_tokens=100, output_tokens=7, cached_tokens=40, reasoning_tokens=3))
    with traced():
        emma = speaker("emma", None, llm_config=llm_config(server, temperature=0.5, seed=7))
        emma.generate_reply(messages=[{"role": "user", "content": "Hello?"}])

    call = call_of(recorder)
    created, cost = call.event("llm_create"), call.event("cost")
    assert {key: value for key, value in call.attributes.items() if key.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.name": "emma",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.input.messages": [
            {"role": "system", "content": "You are emma."},
            {"role": "user", "content": "Hello?"},
        ],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}
        ],
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }
    assert created["ag2.invocation_id"] == call.id
    assert created["ag2.client.wrapper_id"] == str(id(emma.client))
    assert created["ag2.client.client_id"] == str(id(emma.client._clients[0]))
    assert created["ag2.client.api_type"] == "openai"
    assert created["ag2.client.model"] == "gpt-4o-mini"
    assert created["ag2.client.base_url"] == server.base_url + "/"
    assert created["ag2.agent.type"] == "ConversableAgent"
    assert created["ag2.agent.name"] == "emma"
    assert created["ag2.llm.params"]["temperature"] == 0.5
    assert created["ag2.llm.params"]["messages"] == call["gen_ai.input.messages"]
    assert created["ag2.llm.response"]["choices"][0]["message"]["content"] == "Hi."
    assert created["ag2.llm.is_error"] is False
    assert created["ag2.llm.is_cached"] is False
    assert created["ag2.llm.cost"] == pytest.approx(100 * 0.15e-6 + 7 * 0.6e-6)
    assert recorded(cost) == {
        "ag2.cost_type": "LLM",
        "ag2.llm.provider": "openai",
        "ag2.llm.model": "gpt-4o-mini",
        "ag2.agent.name": "emma",
        "ag2.llm.input_tokens": 100,
        "ag2.llm.output_tokens": 7,
        "callboard.llm.cache_read_input_tokens": 40,
        "callboard.llm.reasoning_output_tokens": 3,
        "callboard.cost.framework": pytest.approx(created["ag2.llm.cost"]),
    }


def recorded(cost):
    """A COST event as the hook records it, without what the pipeline's cost module adds."""
    added = {"ag2.cost", "callboard.cost.input", "callboard.cost.source", "callboard.cost.saved"}
    return {key: value for key, value in cost.items() if key not in added}


def test_a_configured_price(recorder, traced, serve):
    server = serve(Answer("Hi.", input_tokens=1000, output_tokens=2000))
    config = llm_config(server)
    config["config_list"][0]["price"] = [1.0, 2.0]
    with traced():
        ask(OpenAIWrapper(**config))
    cost = call_of(recorder).event("cost")
    assert cost["callboard.cost.configured"] == pytest.approx(5.0)
    assert cost["ag2.invocation_id"] == call_of(recorder).id
    assert "callboard.cost.framework" not in cost


def test_a_service_that_tells_no_usage(recorder, traced, serve):
    with traced():
        ask(OpenAIWrapper(**llm_config(serve(Failure(200, NO_USAGE)))))
    call = call_of(recorder)
    assert call.event("cost")["callboard.cost.unpriced"] is True
    assert "ag2.llm.input_tokens" not in call.event("cost")
    assert "gen_ai.usage.input_tokens" not in call.attributes


def test_a_cached_answer_costs_nothing(recorder, traced, serve, tmp_path):
    wrapper = OpenAIWrapper(**llm_config(serve(Answer("Hi.", input_tokens=10, output_tokens=2))))
    with traced(), Cache.disk(cache_seed=1, cache_path_root=str(tmp_path)) as cache:
        ask(wrapper, cache=cache)
        ask(wrapper, cache=cache)
    live, cached = recorder.root.all("llm_call")
    assert live.event("llm_create")["ag2.llm.is_cached"] is False
    assert cached.event("llm_create")["ag2.llm.is_cached"] is True
    assert "callboard.cost.cached" not in live.event("cost")
    assert cached.event("cost")["callboard.cost.cached"] is True
    assert cached.event("cost")["ag2.llm.input_tokens"] == 10
    assert live["gen_ai.usage.input_tokens"] == 10
    assert "gen_ai.usage.input_tokens" not in cached.attributes


def test_an_answer_that_a_filter_rejects_is_paid_for(recorder, traced, serve):
    first, second = (
        serve(Answer("no", input_tokens=5, output_tokens=1)),
        serve(Answer("yes", input_tokens=7, output_tokens=2)),
    )
    entries = [llm_config(server)["config_list"][0] for server in (first, second)]
    entries[1]["model"] = "gpt-4o"

    def says_yes(context, response):
        return response.choices[0].message.content == "yes"

    with traced():
        ask(OpenAIWrapper(config_list=entries, filter_func=says_yes))
    call = call_of(recorder)
    assert [cost["ag2.llm.input_tokens"] for cost in call.found("cost")] == [5, 7]
    assert [cost["ag2.llm.model"] for cost in call.found("cost")] == ["gpt-4o-mini", "gpt-4o"]
    assert call.event("llm_create")["ag2.client.model"] == "gpt-4o"
    assert call["gen_ai.usage.input_tokens"] == 12


@pytest.mark.parametrize("mode", MODES)
async def test_a_cached_answer_in_a_chat(mode, manager, recorder, traced, serve, tmp_path):
    costs = CostTrackerProvider()
    manager.register_provider(costs)
    server = serve(Answer("Hi.", input_tokens=1000, output_tokens=100))
    with traced(), Cache.disk(cache_seed=1, cache_path_root=str(tmp_path)) as cache:
        jack, emma = speaker("jack", None), speaker("emma", server)
        for _ in range(2):
            await chat(jack, emma, mode, message="Hello?", max_turns=1, cache=cache)
    assert len(server.exchanges) == 1
    live, cached = recorder.root.found("cost")
    assert "callboard.cost.saved" not in live
    assert "ag2.cost" not in cached
    assert costs.total_cost == live["ag2.cost"] == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)
    assert costs.saved == cached["callboard.cost.saved"] == costs.total_cost


def configurations(*servers):
    """A configuration list: each server with a model of its own."""
    entries = [llm_config(server)["config_list"][0] for server in servers]
    for entry, model in zip(entries, ("gpt-4o-mini", "gpt-4o", "gpt-4.1"), strict=False):
        entry["model"] = model
    return {"config_list": entries, "cache_seed": None}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("failure", [Failure(500), Failure(401, "who are you"), Failure(429)])
async def test_the_next_configuration_when_one_fails(mode, failure, recorder, traced, serve):
    servers = [serve(failure), serve("Hi.")]
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None, llm_config=configurations(*servers))
        await chat(jack, emma, mode, message="Hello?", max_turns=1)
    call = call_of(recorder)
    assert call["gen_ai.request.model"] == "gpt-4o-mini"
    assert call["gen_ai.response.model"] == "gpt-4o"
    assert call.error is None
    assert len(call.found("cost")) == 1
    assert recorder.spent() == served(*servers)

    failed, answered = call.found("llm_create")
    assert (failed["ag2.llm.is_error"], answered["ag2.llm.is_error"]) == (True, False)
    assert (failed["ag2.client.model"], answered["ag2.client.model"]) == ("gpt-4o-mini", "gpt-4o")
    assert failed["ag2.client.client_id"] == str(id(emma.client._clients[0]))
    assert f"Error code: {failure.status}" in failed["ag2.llm.response"]
    assert failed["ag2.llm.params"]["messages"] == call["gen_ai.input.messages"]


def test_all_configurations_fail(recorder, traced, serve):
    wrapper = OpenAIWrapper(**configurations(serve(Failure(500)), serve(Failure(401, "who are you"))))
    with traced(), pytest.raises(Exception, match="who are you") as raised:
        ask(wrapper)
    call = call_of(recorder)
    assert call.error == f"openai.AuthenticationError: {raised.value}"
    assert call.found("cost") == []
    first, last = call.found("llm_create")
    assert first["ag2.llm.response"].startswith("InternalServerError: ")
    assert last["ag2.llm.response"] == f"AuthenticationError: {raised.value}"
    assert (first["ag2.llm.is_error"], last["ag2.llm.is_error"]) == (True, True)


def test_a_call_that_times_out(recorder, traced, serve):
    """AG2 raises an exception of its own for it."""
    wrapper = OpenAIWrapper(**llm_config(serve(Answer("Hi.", delay_s=0.5)), timeout=0.01))
    with traced(), pytest.raises(TimeoutError):
        ask(wrapper)
    assert call_of(recorder).event("llm_create")["ag2.llm.response"].startswith("TimeoutError: ")


def test_a_rate_limit_that_the_client_waits_for(recorder, traced, serve, monkeypatch):
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_, **__: 0)
    server = serve(Failure(429, retry_after_s=1), Failure(429, retry_after_s=1), "Hi.")
    config = llm_config(server)
    config["config_list"][0]["max_retries"] = 2
    with traced():
        ask(OpenAIWrapper(**config))
    assert [exchange.status for exchange in server.exchanges] == [429, 429, 200]
    call = call_of(recorder)
    assert call.error is None
    assert call.event("llm_create")["ag2.llm.is_error"] is False
    assert recorder.spent() == served(server)


def test_a_failed_call(recorder, traced, serve):
    wrapper = OpenAIWrapper(**llm_config(serve(Failure(400, "no such luck"))))
    with traced(), pytest.raises(Exception, match="no such luck") as raised:
        ask(wrapper)
    call = call_of(recorder)
    created = call.event("llm_create")
    assert call.error.startswith("openai.BadRequestError: ")
    assert created["ag2.llm.is_error"] is True
    assert created["ag2.llm.response"] == f"BadRequestError: {raised.value}"
    assert "ag2.llm.is_cached" not in created
    assert call.found("cost") == []


def test_a_failed_call_in_a_chat(recorder, traced, serve):
    with traced():
        jack = speaker("jack", None)
        emma = speaker("emma", serve(Failure(400, "no such luck")))
        with pytest.raises(Exception, match="no such luck"):
            jack.initiate_chat(emma, message="Hello?", max_turns=2)
    failed = [span.kind for span in recorder.spans.values() if recorder.root and span.error]
    assert failed == ["chat", "round", "reply", "reply_function", "llm_call"]


def test_tools_and_their_calls(recorder, traced, serve):
    server = serve(Answer(tool_calls=[ToolCall("weather", {"city": "Oslo"})]))
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    with traced():
        ask(OpenAIWrapper(**llm_config(server)), tools=[tool])
    call = call_of(recorder)
    assert call["gen_ai.tool.definitions"] == [tool]
    assert call["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1_1", "name": "weather", "arguments": '{"city": "Oslo"}'}],
            "finish_reason": "tool_calls",
        }
    ]


def test_the_tools_of_an_agent(recorder, traced, serve):
    server = serve("Sunny.")
    with traced():
        emma = speaker("emma", server)

        @emma.register_for_llm(description="Tells the weather.")
        def weather(city: str) -> str:
            return city

        emma.generate_reply(messages=[{"role": "user", "content": "Oslo?"}])
    [tool] = call_of(recorder)["gen_ai.tool.definitions"]
    assert tool["function"]["name"] == "weather"
    assert [tool] == server.exchanges[0].request["tools"]


def test_functions_of_the_older_kind(recorder, traced, serve):
    function = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
    with traced():
        ask(OpenAIWrapper(**llm_config(serve("Hi."))), functions=[function])
    assert call_of(recorder)["gen_ai.tool.definitions"] == [{"type": "function", "function": function}]


def test_what_is_asked_for(recorder, traced, serve):
    asked = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 100,
        "seed": 7,
        "stop": "END",
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "n": 1,
    }
    server = serve("Hi.")
    with traced():
        ask(OpenAIWrapper(**llm_config(server)), **asked)
    call = call_of(recorder)
    sent = {"stop_sequences": ["END"], "choice.count": 1}
    sent |= {name: value for name, value in asked.items() if name not in ("stop", "n")}
    known = {"gen_ai.request.model": "gpt-4o-mini"} | {f"gen_ai.request.{name}": value for name, value in sent.items()}
    assert {key: value for key, value in call.attributes.items() if key.startswith("gen_ai.request.")} == known
    assert server.exchanges[0].request.items() >= asked.items()
    assert call.event("llm_create")["ag2.llm.params"].items() >= asked.items()


def test_a_streamed_answer_is_printed_as_one(recorder, traced, serve, monkeypatch):
    # AG2 0.9 counts streamed tokens itself, by a vocabulary that it would download.
    monkeypatch.setattr("autogen.oai.client.count_token", lambda *_, **__: 5, raising=False)
    config = llm_config(serve("one two three"))
    config["config_list"][0]["stream"] = True
    with traced():
        emma = speaker("emma", None, llm_config=config)
        reply = emma.generate_reply(messages=[{"role": "user", "content": "Count."}])
    call = call_of(recorder)
    assert reply == "one two three"
    assert call.event("console_print")["callboard.console.text"] == "one two three"
    assert call["gen_ai.output.messages"][0]["parts"][0]["content"] == "one two three"


def test_no_secret_is_recorded(recorder, traced, serve):
    config = llm_config(serve("Hi."))
    with traced():
        ask(OpenAIWrapper(**config), extra_headers={"Authorization": "secret-token"})
    everything = json.dumps([[span.attributes, span.events] for span in recorder.spans.values()], default=str)
    assert recorder.root.only("llm_call")
    assert "secret" not in everything


def test_histories_are_kept_apart_by_conversation(recorder, traced, serve):
    with traced():
        emma = speaker("emma", serve("a1", "b1", "a2", "b2"))
        for name in ("ann", "ben"):
            speaker(name, None).initiate_chat(emma, message=f"I am {name}.", max_turns=1)
    inputs = [call["gen_ai.input.messages"][-1]["content"] for call in recorder.root.all("llm_call")]
    assert inputs == ["I am ann.", "I am ben."]


def test_usage_that_is_booked_outside_of_a_call_is_nobodys(recorder, traced, serve):
    with traced():
        OpenAIWrapper(**llm_config(serve()))._update_usage(actual_usage=None, total_usage=None)
    assert recorder.root.found("cost") == []
