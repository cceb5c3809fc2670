"""The hooks of AG2's busiest functions, which are written in Rust, and what they take of the package."""

from __future__ import annotations

from callboard._load import native

from . import images
from .agents import INTERNAL
from .chat import Chat

HOOKS = native.Hooks(chat=Chat, internal=INTERNAL, rewrite=images.by_reference)
