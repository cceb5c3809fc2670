"""What every exported run must be: one trace that is one tree."""

from __future__ import annotations

from collections.abc import Sequence

from peers import ReadSpan


def assert_one_tree(spans: Sequence[ReadSpan]) -> ReadSpan:
    """One trace, no id twice, one root, and each other span's parent among them. Returns the root."""
    ids = [span.span_id for span in spans]
    assert len({span.trace_id for span in spans}) == 1, "more than one trace"
    assert len(set(ids)) == len(ids), "a span came twice"
    roots = [span for span in spans if not span.parent_id]
    assert len(roots) == 1, f"roots: {[span.name for span in roots]}"
    orphans = [span.name for span in spans if span.parent_id and span.parent_id not in ids]
    assert not orphans, f"orphans: {orphans}"
    return roots[0]
