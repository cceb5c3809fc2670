"""Running a program as `__main__`, so that it finds everything as it would have, had Python itself started it."""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType, TracebackType
from typing import Any, NamedTuple

from .tracebacks import hooks_left_out


class Program(NamedTuple):
    """What Python's own command line makes of the same words."""

    name: str
    """What people call it: the script's file name, the module's name."""
    argv: list[str]
    folder: str
    """What `sys.path` begins with."""
    module: str = "__main__"
    """What `runpy` is to run, where there is no code."""
    file: str = ""
    code: bytes | CodeType | None = None
    """What stands in the file: source, or what was compiled before."""


def script(path: str, arguments: list[str]) -> Program:
    """The program in a file, or in a folder or archive with a `__main__.py`.

    Raises:
        OSError: it cannot be read.

    """
    file = os.path.join(os.getcwd(), path)
    name = os.path.basename(path.rstrip(os.sep)) or path
    if pkgutil.get_importer(file) is not None:
        return Program(name, [path, *arguments], file)
    with io.open_code(file) as stream:
        code: bytes | CodeType | None = stream.read()
    if isinstance(code, bytes) and code.startswith(MAGIC_NUMBER):
        code = pkgutil.read_code(io.BytesIO(code))
    return Program(name, [path, *arguments], os.path.dirname(os.path.realpath(file)), file=file, code=code)


def module(name: str, arguments: list[str]) -> Program:
    """The program that ``python -m name`` runs."""
    return Program(name, ["-m", *arguments], os.getcwd(), module=name)


def run(program: Program) -> None:
    """Run it to its end. What it raises passes, and is shown as Python shows it, without frames of callboard's."""
    sys.argv[:] = program.argv
    _begin_path_with(program)
    main = sys.modules["__main__"] = _new_main(program)
    try:
        if program.code is None:
            # Private, and what `python -m` calls: the public ones leave other attributes and other frames.
            runpy._run_module_as_main(program.module, program.argv[0] == "-m")  # type: ignore[attr-defined]  # private
        elif isinstance(program.code, CodeType):
            exec(program.code, main.__dict__)
        else:
            exec(compile(program.code, program.file, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _show_without_us(error)
        raise


def _begin_path_with(program: Program) -> None:
    """Put the program's folder where ours stands, unless Python was told to put none there (`-I`, `-P`)."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = program.folder
    elif program.code is None and program.module == "__main__":
        sys.path.insert(0, program.folder)


def _new_main(program: Program) -> ModuleType:
    """The module as Python makes it before the first line runs. Workers of `multiprocessing` find the program by it."""
    main = ModuleType("__main__")
    begun: dict[str, Any] = {"__loader__": BuiltinImporter, "__builtins__": builtins}
    if program.code is not None:
        begun |= {"__loader__": SourceFileLoader("__main__", program.file), "__file__": program.file}
    for name in ("__annotations__", "__cached__"):
        if name in vars(sys.modules["__main__"]):  # Not every version of Python has them.
            begun[name] = {} if name == "__annotations__" else None
    main.__dict__.update(begun)
    return main


def _show_without_us(error: BaseException) -> None:
    """Have the interpreter, which shows what ends a program, show it without frames of callboard's."""
    begin = error.__traceback__  # Further out come the frames of whoever started the command.
    shown = sys.excepthook

    def show(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        if value is not error:
            shown(kind, value, traceback)
            return
        with hooks_left_out(error, begin) as left:
            sys.last_traceback = left
            shown(kind, value, left)

    sys.excepthook = show
