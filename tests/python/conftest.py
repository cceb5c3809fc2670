"""Which tests run where: an environment has one of the two AG2s, classic (`autogen`) or 1.x (`ag2`)."""

from __future__ import annotations

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """A folder of tests that has a package's name does not count: it has no `__init__.py`."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


collect_ignore = [folder for folder, package in (("ag2", "autogen"), ("ag2_v1", "ag2")) if not is_installed(package)]
