"""Reasoning: the steps of ReasoningAgent's ways of searching, and CaptainAgent's teams of experts."""

from __future__ import annotations

import copy
import inspect
import random
import subprocess
import sys

import callboard
import openai
import pytest
from autogen import LLMConfig, UserProxyAgent
from autogen.agentchat.contrib.captainagent import CaptainAgent
from autogen.agentchat.contrib.captainagent.captainagent import CaptainUserProxyAgent
from autogen.agents.experimental import ReasoningAgent
from autogen.agents.experimental.reasoning.reasoning_agent import ThinkNode
from conftest import draw, llm_config, served, speaker, untraced
from model_server import Answer, Rule, ToolCall
from test_chat import tree

SETTINGS = {
    "beam_search": {"method": "beam_search", "beam_size": 1, "max_depth": 2},
    "dfs": {"method": "dfs", "max_depth": 2},
    "mcts": {"method": "mcts", "nsim": 2, "max_depth": 2},
    "lats": {"method": "lats", "nsim": 2, "max_depth": 2},
}


def options(*thoughts):
    listed = [f"Option {number}: {thought}" for number, thought in enumerate(thoughts, start=1)]
    return "\n".join(["REFLECTION: Well.", "**Possible Options:**", *listed])


def script():
    return [
        Rule(
            [options("Count", "Guess"), options("TERMINATE", "Add"), options("TERMINATE")],
            system="Deep Thinking AI Assistant",
        ),
        Rule(["10, right", "1, wrong", "7, fine", "4, so so"], last="Rate:"),
        Rule(["Option 1: right\nRating: 10\nOption 2: wrong\nRating: 1"] * 2, last="Options:\n"),
        Rule(["Counted to 42."], system="provide an answer for the last step"),
        Rule(["QUESTION: How many?"], last="write a prompt that summarizes"),
        Rule(["42", "43", "44"], last="Final Answer:"),
    ]


def reasoner(server, settings, kind=ReasoningAgent, **about):
    about.setdefault("human_input_mode", "NEVER")
    return kind("reasoner", llm_config=llm_config(server), reason_config=settings, silent=True, **about)


def ask(agent):
    random.seed(0)  # AG2 draws the child that a simulation goes on with.
    return speaker("asker", None).initiate_chat(agent, message="How many?", max_turns=1)


HIDDEN = ("console_print", "agent_send_msg", "llm_create", "cost")


def test_beam_search(recorder, traced, serve):
    server = serve(*script())
    with traced():
        ask(reasoner(server, SETTINGS["beam_search"]))
    assert recorder.spent() == served(server) > (0, 0)
    assert recorder.tree(*HIDDEN) == tree("""
        workflow
          * agent_creation reasoner
          * agent_creation tot_thinker [internal]
          * agent_creation tot_grader [internal]
          * agent_creation prompt_rewriter [internal]
          * agent_creation asker
          chat initiate_chat asker -> reasoner
            round 1 of 1
              reply reasoner generate_reply: 42
                reply_function generate_forest_response
                  reasoning beam_reply by reasoner, node: How many?, depth: 0, answer: 42
                    reasoning expand by reasoner, node: How many?, depth: 0, options: ['Count', 'Guess']
                      reply tot_thinker generate_reply: REFLECTION: Well. / **Possible Options:** / Option 1: Count / Option 2: Guess [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_thinker
                    reasoning rate_node by reasoner, node: Count, depth: 1, rating: 1.0
                      reply tot_grader generate_reply: 10, right [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
                    reasoning rate_node by reasoner, node: Guess, depth: 1, rating: 0.0
                      reply tot_grader generate_reply: 1, wrong [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
                    reasoning expand by reasoner, node: Count, depth: 1, options: ['TERMINATE', 'Add']
                      reply tot_thinker generate_reply: REFLECTION: Well. / **Possible Options:** / Option 1: TERMINATE / Option 2: Add [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_thinker
                    reasoning rate_node by reasoner, node: TERMINATE, depth: 2, rating: 0.6666666666666666
                      reply tot_grader generate_reply: 7, fine [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
                    reasoning rate_node by reasoner, node: Add, depth: 2, rating: 0.3333333333333333
                      reply tot_grader generate_reply: 4, so so [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
                    reply reasoner generate_reply: 42
                      reply_function generate_oai_reply
                        llm_call gpt-4o-mini of reasoner
            summary last_msg: 42
    """)


@pytest.mark.parametrize("method", ["mcts", "lats"])
def test_simulations(method, recorder, traced, serve):
    server = serve(*script())
    with traced():
        ask(reasoner(server, SETTINGS[method]))
    assert recorder.spent() == served(server) > (0, 0)
    assert {step["ag2.reasoning.method"] for step in recorder.root.all("reasoning")} == {method}
    assert recorder.tree(*HIDDEN, "agent_creation") == tree("""
        workflow
          chat initiate_chat asker -> reasoner
            round 1 of 1
              reply reasoner generate_reply: 42
                reply_function generate_forest_response
                  reasoning mcts_reply by reasoner, node: How many?, depth: 0, answer: 42
                    reasoning expand by reasoner, node: How many?, depth: 0, options: ['Count', 'Guess']
                      reply tot_thinker generate_reply: REFLECTION: Well. / **Possible Options:** / Option 1: Count / Option 2: Guess [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_thinker
                    reasoning expand by reasoner, node: Guess, depth: 1, options: ['TERMINATE', 'Add']
                      reply tot_thinker generate_reply: REFLECTION: Well. / **Possible Options:** / Option 1: TERMINATE / Option 2: Add [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_thinker
                    reply reasoner generate_reply: 42
                      reply_function generate_oai_reply
                        llm_call gpt-4o-mini of reasoner
                    reasoning rate_node by reasoner, node: 42, depth: 3, rating: 1.0
                      reply tot_grader generate_reply: 10, right [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
                    reasoning expand by reasoner, node: Count, depth: 1, options: ['TERMINATE']
                      reply tot_thinker generate_reply: REFLECTION: Well. / **Possible Options:** / Option 1: TERMINATE [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_thinker
                    reply reasoner generate_reply: 43
                      reply_function generate_oai_reply
                        llm_call gpt-4o-mini of reasoner
                    reasoning rate_node by reasoner, node: 43, depth: 3, rating: 0.0
                      reply tot_grader generate_reply: 1, wrong [internal]
                        reply_function generate_oai_reply
                          llm_call gpt-4o-mini of tot_grader
            summary last_msg: 42
    """)


def steps(recorder):
    """Every step, as its name, its node, and what came of it."""
    found = []
    for step in recorder.root.all("reasoning"):
        of = {key.removeprefix("ag2.reasoning."): value for key, value in step.attributes.items()}
        came = next((of[key] for key in ("answer", "rating", "ratings", "options") if key in of), None)
        found.append((of["step"], of["node"], came))
    return found


def test_depth_first(recorder, traced, serve):
    with traced():
        ask(reasoner(serve(*script()), SETTINGS["dfs"]))
    assert steps(recorder) == [
        ("beam_reply", "How many?", "42"),
        ("expand", "How many?", ["Count", "Guess"]),
        ("rate_node", "Count", 1.0),
        ("rate_node", "Guess", 0.0),
        ("expand", "Count", ["TERMINATE", "Add"]),
        ("rate_node", "TERMINATE", 2 / 3),
        ("rate_node", "Add", 1 / 3),
    ]


def test_what_a_step_records(recorder, traced, serve):
    with traced():
        ask(reasoner(serve(*script()), SETTINGS["beam_search"]))
    searched, expanded, rated, *_ = recorder.root.all("reasoning")
    about = {"gen_ai.agent.name": "reasoner", "ag2.reasoning.method": "beam_search"}
    node = {"ag2.reasoning.node": "How many?", "ag2.reasoning.depth": 0}
    assert searched.attributes == {
        **about,
        **node,
        "ag2.reasoning.step": "beam_reply",
        "ag2.reasoning.answer": "42",
    }
    assert expanded.attributes == {
        **about,
        **node,
        "ag2.reasoning.step": "expand",
        "ag2.reasoning.options": ["Count", "Guess"],
    }
    assert rated.attributes == {
        **about,
        "ag2.reasoning.step": "rate_node",
        "ag2.reasoning.node": "Count",
        "ag2.reasoning.depth": 1,
        "ag2.reasoning.rating": 1.0,
    }


def test_rating_all_at_once_and_carrying_out(recorder, traced, serve):
    settings = {**SETTINGS["beam_search"], "batch_grading": True, "interim_execution": True}
    server = serve(*script())
    with traced():
        ask(reasoner(server, settings))
    assert recorder.spent() == served(server)
    assert steps(recorder) == [
        ("beam_reply", "How many?", "42"),
        ("expand", "How many?", ["Count", "Guess"]),
        ("rate_batch_nodes", "How many?", [1.0, 0.0]),
        ("execute_node", "Count", "Counted to 42."),
        ("expand", "Count", ["TERMINATE", "Add"]),
        ("rate_batch_nodes", "Count", [1.0, 0.0]),
        ("execute_node", "TERMINATE", None),
    ]
    assert recorder.root.all("reasoning")[2]["ag2.reasoning.options"] == ["Count", "Guess"]
    assert {"tot_executor"} < internal_ones(recorder)


def test_carrying_out_code(recorder, traced, serve, tmp_path):
    code = Rule([options("```python\nprint(42)\n```"), options("TERMINATE")], system="Deep Thinking AI Assistant")
    server = serve(code, *script())
    settings = {"method": "mcts", "nsim": 1, "max_depth": 2, "interim_execution": True}
    config = {"use_docker": False, "work_dir": str(tmp_path)}
    with traced():
        ask(reasoner(server, settings, code_execution_config=config))
    execution = recorder.root.all("reasoning")[2]
    assert "\n".join(draw(execution, set(HIDDEN), declined=False)) == tree("""
        reasoning execute_node by reasoner, node: ```python / print(42) / ```, depth: 1, answer: exitcode: 0 (execution succeeded) / Code output:  / 42
          reply reasoner_user_proxy generate_reply: exitcode: 0 (execution succeeded) / Code output:  / 42 [internal]
            reply_function generate_code_execution_reply
              code_execution python by reasoner_user_proxy: 0 [internal]
    """)


def internal_ones(recorder):
    """The names of the agents that the record says are AG2's own: of those made, those replying, those calling a model."""
    said = recorder.root.found("agent_creation") + [
        span.attributes for kind in ("reply", "llm_call") for span in recorder.root.all(kind)
    ]
    names = ("ag2.agent.name", "ag2.agent.recipient", "gen_ai.agent.name")
    found = [(next(one[name] for name in names if name in one), "callboard.agent.internal" in one) for one in said]
    assert len(dict(found)) == len(set(found)), "an agent is marked in one place and not in another"
    return {name for name, is_internal in found if is_internal}


def test_inner_agents_are_marked(recorder, traced, serve):
    with traced():
        ask(reasoner(serve(*script()), SETTINGS["beam_search"]))
    assert internal_ones(recorder) == {"tot_thinker", "tot_grader", "prompt_rewriter"}


def test_inner_agents_of_an_agent_made_before(recorder, traced, serve):
    """One made before telemetry began is marked before any of its inner agents replies."""
    agent = reasoner(serve(*script()), SETTINGS["beam_search"])
    with traced():
        agent.generate_reply(messages=[{"role": "user", "content": "Hello."}, {"role": "user", "content": "Well?"}])
    assert internal_ones(recorder) == {"tot_thinker", "tot_grader", "prompt_rewriter"}
    assert steps(recorder)[0] == ("beam_reply", "QUESTION: How many?", "42")


def test_an_agent_that_bears_an_inner_agents_name(recorder, traced):
    with traced():
        ReasoningAgent("tot_grader", llm_config=False)
    named = [one for one in recorder.root.found("agent_creation") if one["ag2.agent.name"] == "tot_grader"]
    assert "callboard.agent.internal" not in named[0]


def test_a_step_that_fails(recorder, traced, serve):
    with traced():
        agent = reasoner(serve(*script()[:1]), SETTINGS["beam_search"])
        with pytest.raises(openai.BadRequestError):
            ask(agent)
    failed = [step["ag2.reasoning.step"] for step in recorder.root.all("reasoning") if step.error]
    assert failed == ["beam_reply", "rate_node"]


def test_classes_of_the_programs_own(recorder, traced, serve):
    expanded = []

    class Impartial(ReasoningAgent):
        def rate_node(self, node, *args, **kwargs):
            return 0.5

        def _expand(self, node):
            expanded.append(node.content)
            return super()._expand(node)

    with traced():
        ask(reasoner(serve(*script()), SETTINGS["mcts"], Impartial))
    assert steps(recorder)[:4] == [
        ("mcts_reply", "How many?", "42"),
        ("expand", "How many?", ["Count", "Guess"]),
        ("expand", "Guess", ["TERMINATE", "Add"]),
        ("rate_node", "42", 0.5),
    ]
    assert expanded == [node for step, node, _ in steps(recorder) if step == "expand"]


def test_a_step_that_a_program_takes(recorder, traced, serve):
    agent = reasoner(serve(*script()), SETTINGS["beam_search"])
    with traced():
        assert agent.rate_node(node=ThinkNode("Count")) == 1.0
    assert steps(recorder) == [("rate_node", "Count", 1.0)]


@pytest.mark.parametrize("method", SETTINGS)
def test_the_program_is_the_same_without_callboard(method, traced, serve, console):
    outcomes = []
    for context in (untraced, traced):
        server = serve(*script())
        with context():
            agent = reasoner(server, SETTINGS[method])
            result = ask(agent)
        requests = [exchange.request for exchange in server.exchanges]
        printed = [line for line in console.readouterr().out.splitlines() if "TERMINATING RUN" not in line]
        outcomes.append((result.chat_history, result.summary, result.cost, agent._root.to_dict(), requests, printed))
    assert outcomes[0] == outcomes[1]


# ---- into the modules and out again


def methods():
    """What these modules' classes are made of."""
    classes = (ReasoningAgent, CaptainAgent, CaptainUserProxyAgent)
    return {(cls, name): held for cls in classes for name, held in vars(cls).items() if inspect.isfunction(held)}


def test_uninstrument_puts_everything_back():
    before = methods()
    callboard.instrument_ag2()
    replaced = {name for (_, name), held in methods().items() if held not in before.values()}
    callboard.uninstrument_ag2()
    assert methods() == before
    assert replaced >= {"_beam_reply", "_mcts_reply", "_expand", "rate_node", "rate_batch_nodes", "execute_node"}
    assert "_run_autobuild" in replaced and "generate_forest_response" not in replaced


def test_modules_that_the_program_does_not_import():
    program = """
import sys, callboard, autogen
before = list(sys.meta_path)
with callboard.telemetry_context(callboard.InstrumentationManager()):
    autogen.ConversableAgent("jack", llm_config=False)
    awaited = {finder.name.rpartition(".")[2] for finder in sys.meta_path if finder not in before}
print(awaited >= {"reasoning_agent", "captainagent"}, sys.meta_path == before, sum("reasoning_agent" in name or "captain" in name for name in sys.modules))
"""
    assert run_python(program) == ["True", "True", "0"]


@pytest.mark.parametrize("moment", ["before", "within"])
def test_modules_that_the_program_imports(moment):
    program = f"""
import callboard, autogen
def look():
    from autogen.agents.experimental import ReasoningAgent
    from autogen.agentchat.contrib.captainagent.captainagent import CaptainUserProxyAgent
    return [hasattr(method, "__wrapped__") for method in (ReasoningAgent._expand, CaptainUserProxyAgent._run_autobuild)]
if "{moment}" == "before":
    print(*look())
with callboard.telemetry_context(callboard.InstrumentationManager()):
    print(*look())
print(*look())
"""
    unwrapped = ["False", "False"] * (moment == "before")
    assert run_python(program) == [*unwrapped, "True", "True", "False", "False"]


def test_a_module_imported_when_the_run_is_over():
    program = """
import callboard, autogen
with callboard.telemetry_context(callboard.InstrumentationManager()):
    pass
from autogen.agents.experimental import ReasoningAgent
print(hasattr(ReasoningAgent._expand, "__wrapped__"))
"""
    assert run_python(program) == ["False"]


def run_python(program):
    """What a program prints; a warning of callboard's makes it fail."""
    strict = ["-W", "error::RuntimeWarning"]
    done = subprocess.run([sys.executable, *strict, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "callboard" not in done.stderr
    return done.stdout.split()


# ---- a captain and its experts

EXPERTS = {"group_name": "sums", "building_task": "One who adds.", "execution_task": "Add 20 and 22."}


def captains_script():
    return [
        Rule(["Ada, Bob"], last="Expert's name should follow the format"),
        Rule(["You add.", "You check."], last="[Complete this part with expert's name and skill description]"),
        Rule(["Ada adds.", "Bob checks."], last="Summarize the following expert's description"),
        Rule(["42, as Ada says"], last="Briefly summarize the conversation history"),
        Rule([Answer(tool_calls=[ToolCall("seek_experts_help", EXPERTS)]), "TERMINATE"], system="perfect manager"),
        Rule(["It is 42."], system="You check."),
        Rule(["42 it is."], last="Read the following conversation history"),
    ]


def captain(server, folder):
    """A captain whose experts write no code."""

    class Captain(CaptainAgent):
        # AG2 writes the settings of a captain, its model included, into the defaults of the class.
        DEFAULT_NESTED_CONFIG = copy.deepcopy(CaptainAgent.DEFAULT_NESTED_CONFIG)

    [entry] = llm_config(server)["config_list"]
    nested = {
        "autobuild_init_config": {"config_file_or_env": None, "builder_model": [], "agent_model": []},
        "autobuild_build_config": {
            "default_llm_config": {"temperature": 0, "cache_seed": None},
            "code_execution_config": {"use_docker": False, "work_dir": str(folder)},
            "coding": False,
        },
        "group_chat_config": {"max_round": 2, "speaker_selection_method": "round_robin"},
        "max_turns": 2,
    }
    return Captain("captain", llm_config=LLMConfig(entry, cache_seed=None), nested_config=nested)


def order(agent):
    user = UserProxyAgent("user", code_execution_config=False, human_input_mode="NEVER")
    return user.initiate_chat(agent, message="What is 20 + 22?", max_turns=1)


def test_a_captain_has_experts_solve_a_task(recorder, traced, serve, tmp_path):
    server = serve(*captains_script())
    with traced():
        result = order(captain(server, tmp_path))
    assert result.summary == "42 it is."
    assert recorder.spent() == served(server) > (0, 0)
    assert recorder.tree(*HIDDEN, "tool_execution") == tree("""
        workflow
          * agent_creation captain
          * agent_creation CaptainAgent [internal]
          * agent_creation Expert_summoner [internal]
          * agent_creation user
          chat initiate_chat user -> captain
            round 1 of 1
              reply captain generate_reply: 42 it is.
                reply_function _summary_from_nested_chats
                  nested_chat _summary_from_nested_chats of 1 for captain: 42 it is.
                    chats initiate_chats of 1
                      chat initiate_chat Expert_summoner -> CaptainAgent [internal]
                        round 1 of 2
                          reply CaptainAgent generate_reply: seek_experts_help() [internal]
                            reply_function generate_oai_reply
                              llm_call gpt-4o-mini of CaptainAgent
                        round 2 of 2
                          reply Expert_summoner generate_reply: # Response from seek_agent_help:  / 42, as Ada says [internal]
                            reply_function generate_tool_calls_reply
                              tool_call seek_experts_help by Expert_summoner
                                reasoning run_autobuild by captain, node: Add 20 and 22., options: ['Ada', 'Bob'], answer: # Response from seek_agent_help:  / 42, as Ada says
                                  * agent_creation Ada
                                  * agent_creation Bob
                                  * groupchat_creation Ada, Bob by round_robin
                                  * agent_creation chat_manager
                                  llm_call gpt-4o-mini of None
                                  llm_call gpt-4o-mini of None
                                  llm_call gpt-4o-mini of None
                                  llm_call gpt-4o-mini of None
                                  llm_call gpt-4o-mini of None
                                  chat initiate_chat Ada -> chat_manager
                                    reply chat_manager generate_reply: None
                                      reply_function run_chat
                                        group_chat run_chat chat_manager: Max rounds reached
                                          round 1 of 2
                                            * agent_transition Ada -> Bob
                                            groupchat_select_speaker Ada -> Bob (Round robin selection)
                                            reply Bob generate_reply: It is 42.
                                              reply_function generate_oai_reply
                                                llm_call gpt-4o-mini of Bob
                                          round 2 of 2
                                    summary last_msg: It is 42.
                                  llm_call gpt-4o-mini of None
                          reply CaptainAgent generate_reply: TERMINATE [internal]
                            reply_function generate_oai_reply
                              llm_call gpt-4o-mini of CaptainAgent
                        summary reflection_with_llm: 42 it is.
                          llm_call gpt-4o-mini of Expert_summoner
            summary last_msg: 42 it is.
    """)


def test_what_a_captains_step_records(recorder, traced, serve, tmp_path):
    with traced():
        order(captain(serve(*captains_script()), tmp_path))
    assert recorder.root.only("reasoning").attributes == {
        "gen_ai.agent.name": "captain",
        "ag2.reasoning.step": "run_autobuild",
        "ag2.reasoning.node": "Add 20 and 22.",
        "ag2.reasoning.options": ["Ada", "Bob"],
        "ag2.reasoning.answer": "# Response from seek_agent_help: \n42, as Ada says",
    }
    assert internal_ones(recorder) == {"CaptainAgent", "Expert_summoner"}


def test_a_captain_is_the_same_without_callboard(traced, serve, tmp_path, console):
    outcomes = []
    for context in (untraced, traced):
        server = serve(*captains_script())
        with context():
            result = order(captain(server, tmp_path))
        requests = [exchange.request for exchange in server.exchanges]
        printed = [line for line in console.readouterr().out.splitlines() if "TERMINATING RUN" not in line]
        outcomes.append((result.chat_history, result.summary, result.cost, requests, printed))
    assert outcomes[0] == outcomes[1]
