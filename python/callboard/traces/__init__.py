"""Where callboard's trace meets other threads, programs and libraries, whichever AG2 runs.

    outgoing.py   requests to models and remote agents say which span they are made in
    ag2_own.py    AG2's own tracing, where it is on too
    closures.py   AG2's methods as they were before callboard came, which its own tracing holds on to
    beta.py       `autogen.beta`, which is not traced
    threads.py    what is current goes on in threads that are started, and in work for executors

How a hook gets in and out is the classic hooks' affair: patching.py of `callboard.ag2`. It is counted as theirs are.
"""

from __future__ import annotations

from callboard.ag2.installing import Installation

from . import ag2_own, beta, outgoing, threads

__all__ = ["acquire", "instrument", "release", "uninstrument"]

_installation = Installation("callboard", lambda: (outgoing, ag2_own, beta, threads))

instrument = _installation.instrument
uninstrument = _installation.uninstrument
acquire = _installation.acquire
release = _installation.release
