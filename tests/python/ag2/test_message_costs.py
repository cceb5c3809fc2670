"""What each message cost over its life, in scripted programs of real agents."""

from __future__ import annotations

import re

import pytest
from callboard import CostTrackerProvider, InstrumentationManager, telemetry_context
from conftest import speaker
from model_server import Answer, ToolCall

PAGE = "The page says a great many things. " * 60


@pytest.fixture
def costs(manager):
    costs = CostTrackerProvider()
    manager.register_provider(costs)
    return costs


def research(serve):
    """A chat in which a tool's long result stands in the history of every later call."""
    answers = [Answer(tool_calls=[ToolCall("read_page", {"url": "example.org"})], input_tokens=100, output_tokens=20)]
    answers += [Answer(f"Answer {turn}.", input_tokens=700 + 20 * turn, output_tokens=10) for turn in range(4)]
    server = serve(*answers)
    boss = speaker("boss", None, default_auto_reply="Go on.")
    emma = speaker("emma", server)

    def read_page(url: str) -> str:
        """Read a page."""
        return PAGE

    emma.register_for_llm(name="read_page", description="Reads a page.")(read_page)
    boss.register_for_execution(name="read_page")(read_page)
    boss.initiate_chat(emma, message="What does it say?", max_turns=5)
    return server


def test_a_tools_result_that_is_sent_with_each_call(costs, traced, serve):
    with traced():
        server = research(serve)
    dearest, *_ = messages = costs.cost_by_message()
    assert (dearest["role"], dearest["tool"], dearest["agent"]) == ("tool", "read_page", None)
    assert dearest["calls"] == 4
    assert dearest["text"] == PAGE[:100] + "..."
    assert re.fullmatch(
        r"a result of read_page, sent 4 times: about \d\d % of the run \(an estimate\)", dearest["in_words"]
    )
    assert 0.6 < dearest["share"] < 1
    assert dearest["estimated"] is True
    assert dearest["in_words"] in costs.report()

    assert sum(message["input_tokens"] for message in messages) == server.input_tokens
    assert sum(message["output_tokens"] for message in messages) == server.output_tokens
    assert sum(message["cost_usd"] for message in messages) == pytest.approx(costs.total_cost, abs=1e-12)
    assert sum(message["input_cost_usd"] for message in messages) == pytest.approx(server.input_tokens * 0.15e-6)
    assert sum(message["share"] for message in messages) == pytest.approx(1)


def test_who_said_what(costs, traced, serve):
    with traced():
        research(serve)
    told = {
        (message["role"], message["agent"], message["text"]): message["calls"] for message in costs.cost_by_message()
    }
    call = 'read_page({"url": "example.org"})'
    assert told[("system", "emma", "You are emma.")] == 5
    assert told[("user", "boss", "What does it say?")] == 5
    assert told[("tools", "emma", "read_page")] == 5
    assert told[("assistant", "emma", call)] == 4
    assert [told[("assistant", "emma", f"Answer {turn}.")] for turn in range(4)] == [3, 2, 1, 0]
    # The same words, again and again: a message each.
    go_on = [message for message in costs.cost_by_message() if message["text"] == "Go on."]
    assert sorted(message["calls"] for message in go_on) == [1, 2, 3]
    assert len(costs.cost_by_message(limit=2)) == 2
    assert costs.cost_by_message(limit=None) == costs.cost_by_message(limit=100)


def test_what_an_agent_said_is_one_message_in_both_histories(costs, traced, serve):
    with traced():
        ana = speaker("ana", serve(*(Answer(f"I say {turn}.", output_tokens=5) for turn in range(3))))
        ben = speaker("ben", serve(*(Answer(f"You say {turn}.", output_tokens=5) for turn in range(3))))
        ana.initiate_chat(ben, message="Hello.", max_turns=3)
    said = {message["text"]: message for message in costs.cost_by_message()}
    assert said["Hello."]["calls"] == 5, "each call there was: three of ben, two of ana"
    assert said["You say 0."]["agent"] == "ben"
    assert said["You say 0."]["calls"] == 4
    assert said["You say 0."]["output_tokens"] == 5


def test_without_texts_where_none_are_recorded(serve):
    manager, costs = InstrumentationManager(capture_content="none"), CostTrackerProvider()
    manager.register_provider(costs)
    with telemetry_context(manager, "Test"):
        server = research(serve)
    messages = costs.cost_by_message(limit=None)
    assert {message["text"] for message in messages} == {None}
    assert (messages[0]["role"], messages[0]["tool"], messages[0]["calls"]) == ("tool", "read_page", 4)
    assert messages[0]["share"] > 0.6, "its length is known"
    assert sum(message["input_tokens"] for message in messages) == server.input_tokens
    assert sum(message["cost_usd"] for message in messages) == pytest.approx(costs.total_cost, abs=1e-12)


def test_a_shortened_text_counts_whole(serve):
    manager, costs = InstrumentationManager(capture_content=20), CostTrackerProvider()
    manager.register_provider(costs)
    with telemetry_context(manager, "Test"):
        research(serve)
    dearest = costs.cost_by_message()[0]
    assert dearest["text"].startswith("The page says a grea… [")
    assert dearest["share"] > 0.6


def test_a_price_of_the_programs_own(costs, traced, serve):
    config = {"model": "my-own", "api_key": "secret-key", "price": [1.0, 10.0]}
    server = serve(Answer("Hi.", input_tokens=1000, output_tokens=100))
    with traced():
        emma = speaker(
            "emma", None, llm_config={"config_list": [{**config, "base_url": server.base_url}], "cache_seed": None}
        )
        emma.generate_reply(messages=[{"role": "user", "content": "Hello?"}])
    messages = costs.cost_by_message()
    assert sum(message["input_cost_usd"] for message in messages) == pytest.approx(1.0)
    assert sum(message["output_cost_usd"] for message in messages) == pytest.approx(1.0)


def test_html_shows_untrusted_text_as_text(costs, traced, serve):
    with traced():
        emma = speaker("emma", serve(Answer("</td><script>alert(1)</script>", output_tokens=5)))
        emma.generate_reply(messages=[{"role": "user", "content": "<img src=x onerror=alert(2)>\nhello"}])
    html = costs._repr_html_()
    assert "&lt;img src=x onerror=alert(2)&gt;␊hello" in html
    assert "&lt;script&gt;" in html
    assert "<img" not in html
    assert "<script" not in html
