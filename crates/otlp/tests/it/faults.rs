//! A collector that is away, slow, full, confused: what becomes of the spans.
