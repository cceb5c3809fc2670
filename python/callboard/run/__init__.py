"""`callboard run`: an unchanged program inside a `telemetry_context`.

- `command`: the command line, and the order in which things happen;
- `program`: the program as `__main__`, as Python itself would run it;
- `watch`: the providers, and the run's end, however it comes;
- `summary`: what is said at the end;
- `tree`: the run as a tree, and `screen`: where and when it is drawn;
- `stderr`: the one way out for all of it, past which no control character goes.

Nothing of it is imported by ``import callboard``.
"""
