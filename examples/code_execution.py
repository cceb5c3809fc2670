"""An agent that writes code and one that runs it, traced: what was asked, what was run, what it cost.

The code comes from a script on this machine, so that it needs no key. It runs in a folder that is deleted
afterwards, though not in a sandbox: give AG2 a Docker executor for code that a real model writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from autogen import ConversableAgent
from autogen.coding import LocalCommandLineCodeExecutor
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

FIRST_TRY = """I add them up:
```python
print(sum(range(1, 101))
```"""

SECOND_TRY = """A bracket was missing:
```python
print(sum(range(1, 101)))
```"""

SCRIPT = [Rule([FIRST_TRY, SECOND_TRY, "It is 5050. FINISH"], system="You write Python")]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, TemporaryDirectory() as folder, telemetry_context(manager, "Sum"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        writer = ConversableAgent(
            "Writer", system_message="You write Python.", llm_config=llm_config, human_input_mode="NEVER"
        )
        runner = ConversableAgent(
            "Runner",
            llm_config=False,
            code_execution_config={"executor": executor(folder)},
            human_input_mode="NEVER",
            is_termination_msg=lambda message: "FINISH" in (message.get("content") or ""),
        )
        result = runner.initiate_chat(writer, message="What do the numbers from 1 to 100 add up to?", max_turns=5)

        print(f"\nAnswer: {result.summary}")
        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)\n")
        print(mermaid_provider.generate_sequence_diagram())


def executor(folder: str) -> LocalCommandLineCodeExecutor:
    """Runs code with the Python that runs this."""
    python = SimpleNamespace(env_exe=sys.executable, bin_path=str(Path(sys.executable).parent))
    return LocalCommandLineCodeExecutor(work_dir=folder, virtual_env_context=python)


if __name__ == "__main__":
    main()
