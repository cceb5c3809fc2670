"""`callboard run`: what AG2 itself reports for a chat, where that is not what it cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_server import Answer, ModelServer
from test_run import CALLBOARD, run, write

BEGIN = """
import sys
from autogen import ConversableAgent, GroupChat, GroupChatManager
config = {"config_list": [{"model": sys.argv[2], "base_url": sys.argv[1], "api_key": "none"}], "cache_seed": None}
def agent(name, llm_config=config):
    return ConversableAgent(name, human_input_mode="NEVER", llm_config=llm_config, default_auto_reply="Well?")
boss, ann, pam = agent("boss", False), agent("ann", False), agent("pam")
"""

NESTED = """
ann.register_nested_chats([{"recipient": pam, "message": "Do.", "max_turns": 1}], trigger=boss)
boss.initiate_chat(ann, message="Go.", max_turns=1)
"""

PLAIN = """
boss.initiate_chat(pam, message="Go.", max_turns=1)
"""


def told_by(folder: Path, source: str, model: str = "gpt-4o-mini") -> list[str]:
    """The lines of the summary that are about AG2's own figures."""
    answers = [Answer("Knock knock.", input_tokens=30, output_tokens=20)] * 3
    with ModelServer(answers) as server:
        told = run(CALLBOARD, write(folder, BEGIN + source), server.base_url, model)
    assert told.returncode == 0, told.errors
    assert "\ncallboard: program.py ran for" in "\n" + told.errors
    return [line for line in told.errors.splitlines() if line.startswith("AG2 itself")]


@pytest.mark.parametrize(
    ("source", "model", "line"),
    [
        (
            NESTED,
            "gpt-4o-mini",
            "AG2 itself reports $0.000000 (0 tokens) for boss → ann; callboard counted $0.000017 (50 tokens)",
        ),
        (
            NESTED + NESTED + PLAIN,
            "gpt-4o-mini",
            "AG2 itself reports $0.000049 (150 tokens) for boss → pam; callboard counted $0.000017 (50 tokens); "
            "2 more chats differ",
        ),
        (
            NESTED,
            "homemade",
            "AG2 itself reports $0.000000 (0 tokens) for boss → ann; callboard counted 1 unpriced call (50 tokens)",
        ),
    ],
    ids=["one", "several", "unpriced"],
)
def test_where_ag2_reports_another_cost_a_line_says_so(source: str, model: str, line: str, tmp_path: Path):
    assert told_by(tmp_path, source, model) == [line]


@pytest.mark.parametrize("model", ["gpt-4o-mini", "homemade"])
def test_where_both_say_the_same_there_is_no_line(model: str, tmp_path: Path):
    assert told_by(tmp_path, PLAIN, model) == []
