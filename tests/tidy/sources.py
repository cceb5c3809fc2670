"""The files that the house rules look at, and as much of Rust's and Python's grammar as the rules need."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

Files = Mapping[str, str]
"""Texts by path; paths are relative to the repository's root, with forward slashes."""

MAX_TEXT_BYTES = 2_000_000


def repository_files(root: Path) -> dict[str, str]:
    """Every text file that git tracks, or would once told of it. What is ignored is nobody's concern."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = {}
    for path in sorted(set(filter(None, listed.split("\0")))):
        text = _text_of(root / path)
        if text is not None:
            files[path] = text
    return files


def _text_of(path: Path) -> str | None:
    """None for what is no text: a picture, a binary, a file that was deleted and is not committed so yet."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_TEXT_BYTES:
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


def of_kind(files: Files, *suffixes: str) -> Iterator[tuple[str, str]]:
    """The files whose names end so."""
    return ((path, text) for path, text in files.items() if path.endswith(suffixes))


def is_test(path: str) -> bool:
    """Whether a file is part of the tests or benchmarks, by the folder it is in."""
    return bool({"tests", "benches", "fuzz"} & set(PurePosixPath(path).parts))


@dataclass(frozen=True)
class Function:
    """A function, by the lines between which it stands, counted from 1."""

    name: str
    first: int
    last: int


# ---- Rust

_RUST_TOKEN = re.compile(
    r"""
      (?P<comment>//[^\n]*|/\*)
    | (?P<raw>(?<!\w)[bc]?r(?P<hashes>\#*)".*?"(?P=hashes))
    | (?P<text>[bc]?"(?:\\.|[^"\\])*")
    | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)
_TEST_ATTRIBUTE = re.compile(r"#\[(?:cfg\((?:all\(\s*)?test\b|(?:\w+::)*test\b)[^\]]*\]")
_FN = re.compile(r"\bfn\s+(\w+)")


class RustSource:
    """A Rust file, read by a scanner that knows comments, texts and brackets, and no more of the language."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tokens(self) -> list[tuple[str, int, int]]:
        """Comments and literals, as (kind, start, end)."""
        found, position = [], 0
        while match := _RUST_TOKEN.search(self.text, position):
            end = match.end()
            if match.group() == "/*":
                end = _block_comment_end(self.text, match.start())
            found.append((str(match.lastgroup if match.group("hashes") is None else "raw"), match.start(), end))
            position = end
        return found

    @cached_property
    def code(self) -> str:
        """The file with comments blanked and texts filled in: what can be read is code, where it stood."""
        pieces, position = [], 0
        for kind, start, end in self.tokens:
            inside = self.text[start:end]
            filler = " " if kind == "comment" else "_"
            pieces += [self.text[position:start], re.sub(r"[^\n]", filler, inside)]
            position = end
        return "".join([*pieces, self.text[position:]])

    @cached_property
    def literals(self) -> list[tuple[int, str]]:
        """Texts in the code, each with its line."""
        texts = (token for token in self.tokens if token[0] in ("raw", "text"))
        return [(self.line_of(start), self.text[start:end]) for _, start, end in texts]

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """The lines that hold more than white space and comments."""
        return frozenset(number for number, line in enumerate(self.code.split("\n"), 1) if line.strip())

    @cached_property
    def test_regions(self) -> list[tuple[int, int]]:
        """The lines of items that only exist in tests."""
        regions = []
        for match in _TEST_ATTRIBUTE.finditer(self.code):
            regions.append((self.line_of(match.start()), self.line_of(self._item_end(match.end()))))
        return regions

    @cached_property
    def functions(self) -> list[Function]:
        """The functions that have a body."""
        found = []
        for match in _FN.finditer(self.code):
            end = self._item_end(match.end())
            if self.code[end] == "}":
                found.append(Function(match[1], self.line_of(match.start()), self.line_of(end)))
        return found

    def is_test_line(self, line: int) -> bool:
        """Whether the line is in an item that only exists in tests."""
        return any(first <= line <= last for first, last in self.test_regions)

    def line_of(self, position: int) -> int:
        """The line of a position in the text, counted from 1."""
        return bisect_right(self._line_starts, position)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def _item_end(self, position: int) -> int:
        """Where the item that goes on at `position` ends: at its closing brace, or at its semicolon."""
        depth = 0
        for match in re.finditer(r"[()\[\]{};]", self.code[position:]):
            bracket = match.group()
            depth += (bracket in "([{") - (bracket in ")]}")
            if depth < 0 or (depth == 0 and bracket in "};"):
                return position + match.start()
        return len(self.code) - 1


def _block_comment_end(text: str, start: int) -> int:
    """Rust's block comments nest."""
    depth = 0
    for match in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return start + match.end()
    return len(text)


# ---- Python

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


class PythonSource:
    """A Python file, read by Python's own parser."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Comments, each with its line."""
        return [(token.start[0], token.string) for token in self.tokens if token.type == tokenize.COMMENT]

    @cached_property
    def docstrings(self) -> list[ast.Constant]:
        """Texts that stand alone: docstrings, and those below an attribute that document it."""
        alone = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Expr))
        return [value for value in alone if isinstance(value, ast.Constant) and isinstance(value.value, str)]

    @cached_property
    def literals(self) -> list[tuple[int, str]]:
        """Texts in the code, each with its line; documentation is not among them."""
        documentation = {id(docstring) for docstring in self.docstrings}
        texts = (
            node for node in ast.walk(self.tree) if isinstance(node, ast.Constant) and id(node) not in documentation
        )
        return [(node.lineno, node.value) for node in texts if isinstance(node.value, str)]

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """The lines that hold more than white space, comments and documentation."""
        lines: set[int] = set()
        for token in self.tokens:
            if token.type not in _NO_CODE:
                lines.update(range(token.start[0], token.end[0] + 1))
        for docstring in self.docstrings:
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
        return frozenset(lines)

    @cached_property
    def functions(self) -> list[Function]:
        defined = (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        return [Function(node.name, node.lineno, node.end_lineno or node.lineno) for node in defined]

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Calls, each with its dotted name (`pytest.skip`), as far as it is one."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


@cache
def rust(text: str) -> RustSource:
    return RustSource(text)


@cache
def python(text: str) -> PythonSource:
    return PythonSource(text)


def source(path: str, text: str) -> RustSource | PythonSource:
    return rust(text) if path.endswith(".rs") else python(text)
