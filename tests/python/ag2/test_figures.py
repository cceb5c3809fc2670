"""What a chat cost: AG2's own figure beside callboard's, which is what the model server served; and what choosing cost."""

from __future__ import annotations

import threading

import autogen
import callboard
import pytest
from autogen import GroupChat, GroupChatManager
from callboard import CostTrackerProvider, current_span
from callboard.ag2.figures import differences
from callboard.ag2.tally import MOST_WAITING
from conftest import AG2_VERSION, Recorder, llm_config, served, speaker
from model_server import Answer
from test_chat import MODES, chat

CALL = (150e-9 * 10, 600e-9 * 5)
"""What ten tokens in and five out cost in dollars."""
SAID = {"input_tokens": 10, "output_tokens": 5}


@pytest.fixture
def costs(manager):
    provider = CostTrackerProvider()
    manager.register_provider(provider)
    return provider


def figures(span, of="callboard.chat"):
    """Tokens in and out, and dollars: as they stand on a span."""
    keys = ("input_tokens", "output_tokens", "cost_usd" if of.startswith("callboard") else "cost")
    return tuple(span.attributes.get(f"{of}.{key}") for key in keys)


def by_ag2(result):
    told = result.cost["usage_excluding_cached_inference"]
    models = [one for name, one in told.items() if name != "total_cost"]
    tokens = (sum(one[f"{way}_tokens"] for one in models) for way in ("prompt", "completion"))
    return (*tokens, told["total_cost"])


def auto_group(servers):
    agents = [speaker(name, server) for name, server in zip(("ana", "ben"), servers, strict=False)]
    made = GroupChat(agents, [], max_round=3, speaker_selection_method="auto")
    return agents, GroupChatManager(made, llm_config=llm_config(servers[2]))


@pytest.mark.parametrize("mode", MODES)
async def test_a_plain_chat_where_both_agree(mode, manager, recorder, traced, costs, serve):
    server = serve("Knock knock.", "A fish.")
    with traced():
        run = current_span().trace_id
        jack, emma = speaker("jack", None, default_auto_reply="Who is there?"), speaker("emma", server)
        result = await chat(jack, emma, mode, message="A joke!", max_turns=2)
    span = recorder.root.only("chat")
    assert figures(span) == (*served(server), costs.total_cost)
    assert figures(span, "ag2.chat_result") == by_ag2(result) == pytest.approx(figures(span), abs=1e-12)
    assert span["callboard.chat.llm_calls"] == 2
    assert differences(run) is None


@pytest.mark.parametrize("mode", MODES)
async def test_an_auto_group_chat_and_what_its_selections_cost(mode, recorder, traced, costs, serve):
    servers = [serve("one", "three"), serve("two"), serve("ben", "ana")]
    with traced():
        run = current_span().trace_id
        agents, group = auto_group(servers)
        result = await chat(agents[0], group, mode, message="Talk.")
    outer, *inner = recorder.root.all("chat")
    assert figures(outer) == (*served(*servers), costs.total_cost)
    assert figures(outer, "ag2.chat_result") == by_ag2(result)
    assert by_ag2(result)[0] < served(*servers)[0] / 2

    selections = recorder.root.all("groupchat_select_speaker")
    told = [figures(one, "callboard.selection") for one in selections]
    assert [sum(ways) for ways in zip(*told, strict=True)][:2] == list(served(servers[2]))
    for selection, within in zip(selections, inner, strict=True):
        [cost] = selection.found("cost")
        assert figures(selection, "callboard.selection") == figures(within)
        assert selection["callboard.selection.cost_usd"] == cost["ag2.cost"]

    difference = differences(run)
    assert (difference.count, difference.largest.chat) == (1, "ana → chat_manager")
    assert difference.largest.reported == by_ag2(result)[2:] + by_ag2(result)[:2]


def test_a_nested_chat_of_which_ag2_reports_nothing(recorder, traced, costs, serve):
    servers = [serve("a plan"), serve("a text")]
    with traced():
        boss, ann = speaker("boss", None), speaker("ann", None)
        asked = [speaker(name, server) for name, server in zip(("pam", "tom"), servers, strict=True)]
        queue = [{"recipient": one, "message": "Do.", "max_turns": 1} for one in asked]
        ann.register_nested_chats(queue, trigger=boss)
        result = boss.initiate_chat(ann, message="Go.", max_turns=1)
    outer, *inner = recorder.root.all("chat")
    assert by_ag2(result) == (0, 0, 0)
    assert figures(outer, "ag2.chat_result") == (0, 0, 0)
    assert figures(outer) == (*served(*servers), costs.total_cost)
    assert [figures(one)[:2] for one in inner] == [served(server) for server in servers]
    assert outer["callboard.chat.llm_calls"] == 2


def test_ag2_counts_an_agents_earlier_chats_again(recorder, traced, serve):
    server = serve(Answer("One.", **SAID), Answer("Two.", **SAID))
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", server)
        for _ in range(2):
            jack.initiate_chat(emma, message="Again!", max_turns=1)
    spans = recorder.root.all("chat")
    assert [figures(span)[:2] for span in spans] == [(10, 5), (10, 5)]
    assert [figures(span, "ag2.chat_result")[:2] for span in spans] == [(10, 5), (20, 10)]


@pytest.mark.skipif(AG2_VERSION < (0, 13), reason="older versions report for two agents")
@pytest.mark.parametrize("mode", MODES)
async def test_a_patterns_chat_has_the_figure_that_the_program_gets(mode, recorder, traced, serve):
    from autogen.agentchat.group import multi_agent_chat
    from autogen.agentchat.group.patterns import AutoPattern

    servers = [serve("One."), serve("Two."), serve("ben")]
    with traced():
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        made = AutoPattern(
            initial_agent=ana, agents=[ana, ben], group_manager_args={"llm_config": llm_config(servers[2])}
        )
        start = multi_agent_chat.initiate_group_chat if mode == "sync" else multi_agent_chat.a_initiate_group_chat
        started = start(made, "Go.", max_rounds=3)
        result, *_ = started if mode == "sync" else await started
    span = recorder.root.all("chat")[0]
    assert figures(span, "ag2.chat_result") == pytest.approx(by_ag2(result))
    assert figures(span)[:2] == served(*servers) != by_ag2(result)[:2]


def test_a_call_without_a_price_is_said_and_no_cost_is(recorder, traced, serve):
    servers = [serve("one", "three"), serve("two"), serve("ben", "ana")]
    for server in servers:
        server.model = "homemade"
    with traced():
        agents, group = auto_group(servers)
        for agent in (*agents, group):
            agent.llm_config["config_list"][0]["model"] = "homemade"
            agent.client = autogen.OpenAIWrapper(**agent.llm_config)
        agents[0].initiate_chat(group, message="Talk.")
    outer = recorder.root.all("chat")[0]
    first = recorder.root.all("groupchat_select_speaker")[0]
    assert figures(outer) == (*served(*servers), None)
    assert outer["callboard.chat.unpriced_calls"] == 4
    assert figures(first, "callboard.selection")[2] is None
    assert first["callboard.selection.unpriced_calls"] == 1


def test_a_chat_that_fails_says_what_it_cost_until_then(recorder, traced, serve):
    def fails(agent, messages, sender, config):
        raise KeyError("mine")

    server = serve(Answer("One.", **SAID))
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", server)
        jack.register_reply([autogen.Agent, None], fails)
        with pytest.raises(KeyError):
            jack.initiate_chat(emma, message="Go.")
    span = recorder.root.only("chat")
    assert figures(span) == (10, 5, pytest.approx(sum(CALL)))
    assert "ag2.chat_result.cost" not in span.attributes


def test_what_ag2s_tracing_leaves_of_its_figure(recorder, traced, serve, monkeypatch):
    """It takes the total out of the program's own result."""
    from autogen.agentchat import conversable_agent

    gather = conversable_agent.gather_usage_summary

    def without_total(agents):
        usage = gather(agents)
        for told in usage.values():
            told.pop("total_cost")
        return usage

    monkeypatch.setattr(conversable_agent, "gather_usage_summary", without_total)
    with traced():
        speaker("jack", None).initiate_chat(speaker("emma", serve(Answer("One.", **SAID))), message="Go.", max_turns=1)
    span = recorder.root.only("chat")
    assert figures(span, "ag2.chat_result") == pytest.approx((10, 5, sum(CALL)))


@pytest.mark.parametrize("strange", [None, {}, {"usage_excluding_cached_inference": {"gpt": {"cost": "much"}}}])
def test_a_figure_of_another_shape_is_left_out(strange, recorder, traced, serve, monkeypatch):
    from autogen.agentchat import conversable_agent

    monkeypatch.setattr(conversable_agent, "gather_usage_summary", lambda agents: strange)
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("One."))
        assert jack.initiate_chat(emma, message="Go.", max_turns=1).cost is strange
    span = recorder.root.only("chat")
    assert "ag2.chat_result.cost" not in span.attributes
    assert span["callboard.chat.llm_calls"] == 1


def test_calls_of_many_threads_and_of_one_that_outlives_its_chat(recorder, traced, serve):
    """A tally loses none, also where it has to make room."""
    server = serve(*[Answer("One.", **SAID)] * (MOST_WAITING + 60))
    late = threading.Event()
    with traced():
        boss, ann, tom = speaker("boss", None), speaker("ann", None), speaker("tom", server)

        def work(calls, span, wait=False):
            with span.resumed():
                if wait:
                    late.wait(30)
                for _ in range(calls):
                    tom.client.create(messages=[{"role": "user", "content": "Go."}], agent=tom)

        def many(agent, messages, sender, config):
            from callboard.ag2.scope import Carried

            threads = [
                threading.Thread(target=work, args=(MOST_WAITING // 4 + 10, Carried.from_here())) for _ in "1234"
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            outlives.append(threading.Thread(target=work, args=(20, Carried.from_here(), True)))
            outlives[0].start()
            return True, "done"

        def asks(agent, messages, sender, config):
            agent.initiate_chat(ann, message="Go.", max_turns=1)
            late.set()
            outlives[0].join()
            return True, "all done"

        outlives = []
        ann.register_reply([autogen.Agent, None], many)
        asker = speaker("asker", None)
        asker.register_reply(boss, asks)
        boss.initiate_chat(asker, message="Go.", max_turns=1)
    outer, inner = recorder.root.all("chat")
    calls = MOST_WAITING + 40
    assert (inner["callboard.chat.llm_calls"], outer["callboard.chat.llm_calls"]) == (calls, calls + 20)
    assert figures(outer) == (*served(server), pytest.approx((calls + 20) * sum(CALL)))


def test_nothing_is_said_where_no_model_was_called(recorder, traced):
    with traced():
        speaker("jack", None).initiate_chat(speaker("emma", None, default_auto_reply="Hi."), message="Go.", max_turns=1)
    said = recorder.root.only("chat").attributes
    assert [key for key in said if key.startswith("callboard.chat.") or "cost" in key] == []


def test_a_cached_answer_took_nothing(recorder, traced, serve, tmp_path):
    from autogen import Cache

    server = serve(Answer("One.", **SAID))
    with traced(), Cache.disk(cache_path_root=str(tmp_path)) as cache:
        for _ in range(2):
            jack, emma = speaker("jack", None), speaker("emma", server)
            jack.initiate_chat(emma, message="Go.", max_turns=1, cache=cache)
    live, cached = recorder.root.all("chat")
    assert live["callboard.chat.llm_calls"] == 1
    assert "callboard.chat.llm_calls" not in cached.attributes
    assert figures(cached, "ag2.chat_result")[:2] in [(0, 0), (None, None)]


def test_a_budget_counts_the_same(serve):
    manager = callboard.InstrumentationManager(budget=callboard.Budget(max_llm_calls=9))
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    with callboard.telemetry_context(manager, "Test"):
        server = serve(Answer("One.", **SAID))
        speaker("jack", None).initiate_chat(speaker("emma", server), message="Go.", max_turns=1)
    assert recorder.root.only("chat")["callboard.chat.cost_usd"] == recorder.root.event("cost")["ag2.cost"]
