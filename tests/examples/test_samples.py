"""The shorter samples, each run as a program: they end well, and print what their comments promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

REASONING = """
Answer: 3 hens and 2 rabbits.
Cost summary: 0.000339 (5 cost events)

sequenceDiagram
    participant Farmer
    participant Thinker
    participant tot_thinker
    participant tot_grader
    Farmer->>Thinker: Hens and rabbits: 5 heads, 14 legs. How many of ea...
    Thinker->>tot_thinker: #35; Question: Content: Hens and rabbits: 5 heads, 14...
    tot_thinker->>Thinker: REFLECTION: Nothing has been tried yet. **Possible...
    Thinker->>tot_grader: Rate: #35; Question: Content: Hens and rabbits: 5 hea...
    tot_grader->>Thinker: 9, it leads to an equation.
    Thinker->>tot_grader: Rate: #35; Question: Content: Hens and rabbits: 5 hea...
    tot_grader->>Thinker: 2, it leads nowhere.
    Thinker->>tot_thinker: #35; Question: Content: Hens and rabbits: 5 heads, 14...
    tot_thinker->>Thinker: REFLECTION: That settles it. **Possible Options:**...
    Thinker->>Thinker: Given a list of thinking processes, you have to pr...
    Thinker->>Thinker: 3 hens and 2 rabbits.
    Thinker->>Farmer: 3 hens and 2 rabbits.
"""

CODE_EXECUTION = """
Answer: It is 5050. FINISH
Cost summary: 0.000069 (3 cost events)

sequenceDiagram
    participant Runner
    participant Writer
    Runner->>Writer: What do the numbers from 1 to 100 add up to?
    Writer->>Runner: I add them up: ```python print(sum(range(1, 101)) ...
    Runner->>Writer: exitcode: 1 (execution failed) Code output:   File...
    Writer->>Runner: A bracket was missing: ```python print(sum(range(1...
    Runner->>Writer: exitcode: 0 (execution succeeded) Code output: 505...
    Writer->>Runner: It is 5050. FINISH
"""


GROUP_CHAT = """
Selected:
  Writer after Baker: Auto speaker selection of Baker, Writer, Critic, by 123 tokens
  Critic after Writer: Auto speaker selection of Baker, Writer, Critic, by 131 tokens
  Writer after Critic: Auto speaker selection of Baker, Writer, Critic, by 139 tokens
Cost summary: 0.000083 (6 cost events)
  speaker_selection_agent: 73%
  Writer: 18%
  Critic: 9%
"""

NESTED_CHAT = """
Answer: One line is enough. Keep it.
AG2's own sum: 0
Cost summary: 0.000016 (2 cost events)

sequenceDiagram
    participant Reader
    participant Editor
    participant Writer
    participant Critic
    Reader->>Editor: A poem on the moon?
    Editor->>Writer: A poem, please.
    Writer->>Editor: The moon, a coin that nobody spends.
    Editor->>Critic: What do you say? Context:  The moon, a coin that n...
    Critic->>Editor: One line is enough. Keep it.
    Editor->>Reader: One line is enough. Keep it.
"""

HAND_OFFS = """
Hand-offs:
  Desk -> Clerk: ON_CONDITION (When it is about an order)
  Clerk -> Judge: REPLY_RESULT
  Judge -> Boss: ON_CONTEXT_CONDITION (expensive)
  Boss -> Terminate: AFTER_WORK
"""

SEQUENTIAL_CHATS = """
Summaries:
  It rains in Bergen, on 239 days of the year.
  Bergen: 239 days of rain, 126 days of waiting for it.
  Bergen: 239 Tage Regen, 126 Tage Warten darauf.
Cost summary: 0.000036 (3 cost events)
  Translator: 36%
  Writer: 36%
  Researcher: 28%

sequenceDiagram
    participant Editor
    participant Researcher
    participant Writer
    participant Translator
    Editor->>Researcher: How often does it rain in Bergen?
    Researcher->>Editor: It rains in Bergen, on 239 days of the year.
    Editor->>Writer: Make a line of it. Context:  It rains in Bergen, o...
    Writer->>Editor: Bergen: 239 days of rain, 126 days of waiting for ...
    Editor->>Translator: Put it into German. Context:  It rains in Bergen, ...
    Translator->>Editor: Bergen: 239 Tage Regen, 126 Tage Warten darauf.
"""

TOOLS = """
Tools:
  book {"train": "R 10"}: Error: no seat on R 10
  convert {"euros": 20}: 234 kroner
  weather {"city": "Oslo"}: sunny in Oslo
Cost summary: 0.000118 (2 cost events)
"""

HUMAN_INPUT = """
Answers:
  Human: Oslo.
  Human: exit

sequenceDiagram
    participant Human
    participant Agent
    Human->>Agent: Where to?
    Agent->>Human: Rome or Oslo?
    Human->>Agent: Oslo.
    Agent->>Human: Then take the night train.
"""

BUDGET = """
Stopped: the run has used 0.000108 of max_cost_usd=0.0001; raise the budget to go on
Cost summary: 0.000108 (10 cost events)
The service was asked 10 times.
"""

RUN_IN_THREAD = """
Answer: Twelve minutes.
Cost summary: 0.000013 (3 cost events)

sequenceDiagram
    participant _User
    participant chat_manager
    participant Cook
    participant Waiter
    participant Guest
    _User->>chat_manager: The soup is bland.
    Cook->>chat_manager: Salt it.
    Waiter->>chat_manager: And pepper.
    Guest->>Cook: How long does it cook?
    Cook->>Guest: Twelve minutes.
"""

REMOTE_AGENT = """
Answer: It is.
Question
└─ chat: Jack → Emma
   ├─ round 1
   │  └─ invoke_agent Emma
   │     ├─ reply_function a_check_termination_and_human_reply
   │     ├─ reply_function a_generate_function_call_reply
   │     ├─ reply_function a_generate_tool_calls_reply
   │     └─ reply_function a_generate_remote_reply
   │        └─ Answer
   │           └─ chat gpt-4o-mini  17 + 3 tokens, $0.000004
   └─ summary: Jack → Emma
"""

STREAMING = """
The first piece was there after N s, the whole answer after N s.
Cost summary: 0.000011 (1 cost events)
"""

RESPONSE_CACHE = """
The service was asked 1 time.
Cost summary: 0.000008 (1 cost events)
Saved by the cache: 0.000008
"""

FALLBACK = """
Asked:
  gpt-4o-mini: InternalServerError: Error code: 500
  gpt-4o: answered
Cost summary: 0.000135 (1 cost events)
"""

GUARDRAILS = r"""
Hand-offs:
  Desk -> Guard: Guardrail (\b[0-9]{4}\b)
  Guard -> Terminate: AFTER_WORK
"""

FINDINGS = """
Found:
  ping_pong: Joiner and Smith say the same to each other again and again
  repeated_tool_call: stock was called 3 times with the same arguments
"""

CAPTAIN = """
Answer: 42 it is.
Made:
  Captain
  CaptainAgent (AG2's own)
  Expert_summoner (AG2's own)
  User
  Ada
  Bob
  chat_manager
Cost summary: 0.000531 (10 cost events)
  CaptainAgent: 56%
  Expert_summoner: 30%
  Bob: 13%
"""

SWARM = """
Hand-offs:
  Desk -> Clerk: ON_CONDITION (When it is about an order)
  Clerk -> Boss: REPLY_RESULT
  Boss -> TERMINATE: AFTER_WORK
"""

SAMPLES = {
    "group_chat": GROUP_CHAT,
    "nested_chat": NESTED_CHAT,
    "hand_offs": HAND_OFFS,
    "sequential_chats": SEQUENTIAL_CHATS,
    "tools": TOOLS,
    "human_input": HUMAN_INPUT,
    "budget": BUDGET,
    "run_in_thread": RUN_IN_THREAD,
    "code_execution": CODE_EXECUTION,
    "reasoning": REASONING,
    "captain": CAPTAIN,
    "guardrails": GUARDRAILS,
    "response_cache": RESPONSE_CACHE,
    "fallback": FALLBACK,
    "findings": FINDINGS,
}
if find_spec("a2a") is not None:  # Of the supported versions, the newest is tested with it.
    SAMPLES["remote_agent"] = REMOTE_AGENT
if find_spec("autogen.llm_clients") is not None:  # AG2 0.9 counts streamed tokens by a vocabulary that it downloads.
    SAMPLES["streaming"] = STREAMING
if find_spec("autogen.agentchat.contrib.swarm_agent") is not None:  # It is there through 0.13.
    SAMPLES["swarm"] = SWARM


@pytest.mark.parametrize(("sample", "printed"), SAMPLES.items(), ids=SAMPLES)
def test_a_sample(sample: str, printed: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{sample}.py"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r"\d+\.\d{3} s\b", "N s", done.stdout).endswith(printed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("swarm" in SAMPLES, reason="this version of AG2 has swarms")
def test_a_sample_for_another_ag2_says_which():
    program = [sys.executable, EXAMPLES / "swarm.py"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "This AG2 has no swarm any more: pip install 'ag2[openai]==0.13.4'\n"
