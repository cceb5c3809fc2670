"""The native half's stub says what the native half is: every name, argument and default."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import callboard
import pytest

pytest.importorskip("mypy", reason="mypy, which compares the two, is not installed")


def test_the_stub_agrees_with_the_native_half(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("callboard._native.__all__  # every public name, as of any extension module\n")
    package = str(Path(callboard.__file__).parents[1])
    compared = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "callboard._native", "--concise"),
            *("--allowlist", str(allowed), "--ignore-disjoint-bases"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": package, "MYPYPATH": package},
        check=False,
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_what_stands_in_for_the_native_half_has_its_names() -> None:
    program = """
import warnings
warnings.simplefilter("ignore")
from callboard import _inert, _native
for name in dir(_native):
    native, inert = getattr(_native, name), getattr(_inert, name, None)
    assert inert is not None or name.startswith("__"), name
    if isinstance(native, type):
        made = inert("kind") if name in ("SpanContext", "Activation") else inert()
        public = {member for member in vars(native) if not member.startswith("__")}
        assert public <= set(dir(made)), (name, public - set(dir(made)))
"""
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(callboard.__file__).parents[1])},
        check=True,
    )
