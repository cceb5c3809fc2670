"""The house rules for code: each yields a complaint for every breach in the files, and names the fix."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings its forerunner
    import tomli as tomllib  # type: ignore[no-redef]  # the same module by its earlier name

from sources import Files, is_test, of_kind, python, rust, source

Complaints = Iterator[str]

MOST_FILE_LINES = 800
MOST_FUNCTION_LINES = 70


# ---- size and shape


def files_are_short(files: Files) -> Complaints:
    """Lines of code alone count: no blank lines, comments or documentation."""
    for path, text in of_kind(files, ".rs", ".py"):
        count = len(source(path, text).code_lines)
        if count > MOST_FILE_LINES:
            yield f"{path}: {count} lines of code, {MOST_FILE_LINES} at the most: split it by what it does"


def functions_are_short(files: Files) -> Complaints:
    """From the signature to the end, counted as in a file; a function within a function counts for both."""
    for path, text in of_kind(files, ".rs", ".py"):
        lines = source(path, text).code_lines
        for function in source(path, text).functions:
            count = sum(line in lines for line in range(function.first, function.last + 1))
            if count > MOST_FUNCTION_LINES:
                yield (
                    f"{path}:{function.first}: {function.name} has {count} lines of code, "
                    f"{MOST_FUNCTION_LINES} at the most: name its parts and make them functions"
                )


def modules_say_what_they_are_for(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs"):
        if not re.match(r"//! \S+ \S", text):
            yield f"{path}:1: begin the module with `//! ` and a sentence that says what it is for"
    for path, text in of_kind(files, ".py"):
        if text.strip() and not ast.get_docstring(python(text).tree):
            yield f"{path}:1: begin the module with a docstring that says what it is for"


VAGUE_NAMES = {"util", "utils", "common", "helper", "helpers", "type", "types", "misc", "shared", "stuff"}


def modules_are_named_for_what_they_hold(files: Files) -> Complaints:
    for path, _ in of_kind(files, ".rs", ".py", ".ts", ".tsx", ".js"):
        for part in PurePosixPath(path).with_suffix("").parts:
            if part.lower().lstrip("_") in VAGUE_NAMES:
                yield f"{path}: `{part}` says nothing: name the module for what it holds"


# ---- walls

WALLS = {
    r"pyo3.*": {"python"},
    r"prost.*|tonic.*|opentelemetry.*|protobuf.*": {"otlp", "server"},
    r"ureq|reqwest|isahc|curl|rustls.*|native-tls": {"otlp"},
    r"axum.*|hyper.*|tower.*|warp|actix.*": {"server"},
    r"rusqlite|libsqlite3.*|sqlx.*|diesel.*|tokio-postgres|postgres|clickhouse|duckdb": {"store"},
    r"tokio.*|async-std|smol": {"otlp", "server", "store"},
}
"""Heavy dependencies, and the crates that wall them off. `store` and `server` have no code yet."""

CORE_DEPENDENCIES = {"fastrand", "getrandom", "log", "rustix", "serde_json", "smol_str", "thiserror"}
"""Everything that core uses. It stays small: whoever embeds callboard builds it."""

INTERNAL_DEPENDENCIES = {
    "core": set(),
    "otlp": {"core"},
    "callboard": {"core", "otlp"},
    "python": {"core", "otlp", "callboard"},
}
"""Which of our crates each may use."""


def dependencies_keep_to_their_walls(files: Files) -> Complaints:
    """Development dependencies are free: tests may talk to real peers."""
    for path, crate, used in _crates(files):
        for dependency in sorted(used):
            homes = next((homes for pattern, homes in WALLS.items() if re.fullmatch(pattern, dependency)), None)
            if homes is not None and crate not in homes:
                where = " or ".join(f"crates/{home}" for home in sorted(homes))
                yield f"{path}: {dependency} belongs in {where}: reach it through that crate's API"
            elif crate == "core" and dependency not in CORE_DEPENDENCIES and not _is_ours(dependency):
                yield (
                    f"{path}: core does without {dependency}: do this in another crate, or say in the commit "
                    "why core needs it and add it to CORE_DEPENDENCIES in tests/tidy/code_rules.py"
                )


def crates_use_one_another_one_way(files: Files) -> Complaints:
    for path, crate, used in _crates(files):
        ours = {name.removeprefix("callboard-") for name in used if _is_ours(name)}
        allowed = INTERNAL_DEPENDENCIES.get(crate)
        if allowed is None:
            yield f"{path}: a new crate: give it a row of INTERNAL_DEPENDENCIES in tests/tidy/code_rules.py"
            continue
        for name in sorted(ours - allowed):
            yield f"{path}: crates/{crate} may not use crates/{name}: turn it round, or move the code"


def _is_ours(dependency: str) -> bool:
    return dependency == "callboard" or dependency.startswith("callboard-")


def _crates(files: Files) -> Iterator[tuple[str, str, set[str]]]:
    """Each crate's manifest: its path, the crate's folder, the names of what it is built from."""
    for path, text in files.items():
        parts = PurePosixPath(path).parts
        if len(parts) != 3 or parts[0] != "crates" or parts[2] != "Cargo.toml":
            continue
        manifest = tomllib.loads(text)
        tables = [manifest, *manifest.get("target", {}).values()]
        used: set[str] = set()
        for table in tables:
            for kind in ("dependencies", "build-dependencies"):
                used |= {_package(name, given) for name, given in table.get(kind, {}).items()}
        yield path, parts[1], used


def _package(name: str, given: object) -> str:
    """The package that a dependency stands for, by whatever name the manifest calls it."""
    return str(given.get("package", name)) if isinstance(given, dict) else name


ID_SOURCES = re.compile(r"\bIdSource\b|\bRandomIds\b|\bids\s*\.\s*(?:trace_id|span_id)\s*\(")
ID_MAKERS = {f"crates/core/src/{name}.rs" for name in ("handle", "id", "lib", "manager", "testing")}


def only_the_manager_makes_ids(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs"):
        if path not in ID_MAKERS and not is_test(path):
            for line, found in _matches(text, ID_SOURCES):
                yield f"{path}:{line}: `{found}`: only the manager and its handles make ids"
    for path, text in of_kind(files, ".py"):
        if path.startswith("python/callboard/"):
            for name, line in _imports(text):
                if name in {"uuid", "secrets", "random"}:
                    yield f"{path}:{line}: import of {name}: only the manager and its handles make ids"


SQL = re.compile(
    r"^\W*(?:SELECT\s.+\sFROM\s|(?i:insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|"
    r"(?:create|drop|alter)\s+(?:table|index|view|virtual)\s|pragma\s+\w+))",
    re.DOTALL,
)


def sql_stands_in_sql_files(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs", ".py"):
        if path.startswith(("crates/", "python/")) and not is_test(path):
            for line, literal in source(path, text).literals:
                if SQL.match(literal.lstrip('bcr#"')):
                    yield f"{path}:{line}: SQL in a text: put it into a .sql file and bind its values"


# ---- care


UNSAFE = re.compile(r"\bunsafe\b(?:\s+(?:extern\s+_+\s+)?fn\s*\()?")
"""The type of an unsafe function, which ends in a bracket here, does nothing that would need a reason."""


def unsafe_stays_in_the_python_crate(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs"):
        for line, found in _matches(text, UNSAFE):
            if not path.startswith("crates/python/"):
                yield f"{path}:{line}: `unsafe`: do without; only crates/python may, for Python's C API"
            elif not found.endswith("(") and not _has_comment_above(text, line, "SAFETY:"):
                yield f"{path}:{line}: `unsafe`: say above it why it is sound: `// SAFETY: …`"


def nothing_is_unwrapped_outside_tests(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs"):
        if is_test(path):
            continue
        for line, _ in _matches(text, re.compile(r"\.\s*unwrap\s*\(\s*\)")):
            if not rust(text).is_test_line(line):
                yield f'{path}:{line}: `unwrap()`: return the error, or say `expect("why it holds")`'


def the_hosts_output_is_its_own(files: Files) -> Complaints:
    for path, text in of_kind(files, ".py"):
        if path.startswith("python/callboard/"):
            for name, call in python(text).calls():
                if name in {"print", "sys.stdout.write", "sys.stderr.write"}:
                    yield f"{path}:{call.lineno}: `{name}`: the output is the program's: log it instead"
    for path, text in of_kind(files, ".rs"):
        if path.startswith("crates/") and "/src/" in path:
            for line, found in _matches(text, re.compile(r"\b(?:print|println|dbg)!")):
                if not rust(text).is_test_line(line):
                    yield f"{path}:{line}: `{found}`: the output is the program's: use the `log` crate"


RUST_SUPPRESSION = re.compile(r"#!?\[(?:cfg_attr\([^\]]*)?(?:allow|expect)\([^\]]*\]")
PYTHON_SUPPRESSION = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)?|(?:type|pyright|ty):\s*ignore(?:\[[^\]]*\])?|"
    r"pragma:\s*no\s+\w+|fmt:\s*(?:off|skip))(?P<reason>.*)"
)


def every_suppression_has_a_reason(files: Files) -> Complaints:
    for path, text in of_kind(files, ".rs"):
        for line, found in _matches(text, RUST_SUPPRESSION):
            if not re.search(r"\breason\s*=", found):
                yield f'{path}:{line}: `{found}`: add `reason = "…"`'
    for path, text in of_kind(files, ".py"):
        for line, comment in python(text).comments:
            suppressed = PYTHON_SUPPRESSION.search(comment)
            if suppressed and not re.search(r"[A-Za-z]{2,}", suppressed["reason"]):
                yield f"{path}:{line}: `{comment}`: say why after it, as in `# noqa: N801 - a published name`"


SKIPS = {
    "pytest.mark.skip": "reason",
    "pytest.mark.skipif": "reason",
    "pytest.mark.xfail": "reason",
    "pytest.skip": None,
    "pytest.xfail": None,
    "unittest.skip": None,
}
"""What skips a test in Python, and the keyword of the reason; None where it is the first argument."""


def every_skipped_test_says_why(files: Files) -> Complaints:
    for path, text in of_kind(files, ".py"):
        called = {id(call.func): call for _, call in python(text).calls()}
        for node in ast.walk(python(text).tree):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if name in SKIPS and not _gives_reason(called.get(id(node)), SKIPS[name]):
                yield f'{path}:{node.lineno}: `{name}`: say why: `reason="…"`'
    for path, text in of_kind(files, ".rs"):
        for line, _ in _matches(text, re.compile(r"#\[ignore\s*\]")):
            yield f'{path}:{line}: `#[ignore]`: say why: `#[ignore = "…"]`'


def _gives_reason(call: ast.Call | None, keyword: str | None) -> bool:
    if call is None:
        return False
    named = any(given.arg in ("reason", "msg") for given in call.keywords)
    return named or (keyword is None and bool(call.args))


def skipped_tests_are_told(files: Files) -> Complaints:
    """A reason that nobody is shown is none."""
    options = tomllib.loads(files.get("pyproject.toml", "")).get("tool", {}).get("pytest", {}).get("ini_options", {})
    if not re.search(r"-r\w*[asA]", str(options.get("addopts", ""))):
        yield 'pyproject.toml: pytest tells of no skips: `addopts = "-ra"` under [tool.pytest.ini_options]'


# ---- how the rules read code


def _matches(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Where Rust code, not a comment or text, matches: the line, and the code as it stands there."""
    for match in pattern.finditer(rust(text).code):
        yield rust(text).line_of(match.start()), text[match.start() : match.end()]


def _imports(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(python(text).tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


def _has_comment_above(text: str, line: int, word: str) -> bool:
    """Whether the comment that ends right above the statement of this line holds the word."""
    lines = text.split("\n")
    above = lines[max(0, line - 8) : line]
    return any(word in earlier and earlier.lstrip().startswith("//") for earlier in above)


RULES = (
    files_are_short,
    functions_are_short,
    modules_say_what_they_are_for,
    modules_are_named_for_what_they_hold,
    dependencies_keep_to_their_walls,
    crates_use_one_another_one_way,
    only_the_manager_makes_ids,
    sql_stands_in_sql_files,
    unsafe_stays_in_the_python_crate,
    nothing_is_unwrapped_outside_tests,
    the_hosts_output_is_its_own,
    every_suppression_has_a_reason,
    every_skipped_test_says_why,
    skipped_tests_are_told,
)
