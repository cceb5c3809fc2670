"""Each house rule complains of a small breach of it, and of nothing that comes close to one."""

from __future__ import annotations

import code_rules as code
import document_rules as documents
import pytest
from sources import rust

RULES = (*code.RULES, *documents.RULES)

HOME = "/" + "home/somebody/callboard"  # in two pieces, as this file has to keep the rules as well
SKIP = "import pytest\n"
WORKSPACE = '[project]\nname = "x"\n[tool.pytest.ini_options]\n'
CORE = "crates/core/Cargo.toml"
LIB = "crates/core/src/lib.rs"
MODULE = "python/callboard/module.py"
PUBLIC = {"python/callboard/__init__.py": '__all__ = ["SpanKind"]'}
CARGO = {"Cargo.toml": '[workspace.package]\nrust-version = "1.89"\n'}
MAKEFILE = {"Makefile": "bench: build\n\ttime it\n"}
LONG_RUST = "fn long() {\n" + "    step();\n" * 69 + "}\n"
LONG_PYTHON = "def long():\n" + "    step()\n" * 70


def dependency(line: str, crate: str = "core", table: str = "dependencies") -> dict[str, str]:
    return {f"crates/{crate}/Cargo.toml": f"[{table}]\n{line}\n"}


BREACHES = [
    (code.files_are_short, {LIB: "step!();\n" * 801}, "801 lines of code"),
    (code.files_are_short, {MODULE: "step()\n" * 801}, "split it"),
    (code.functions_are_short, {LIB: LONG_RUST}, "long has 71 lines"),
    (code.functions_are_short, {MODULE: LONG_PYTHON}, "long has 71 lines"),
    (
        code.functions_are_short,
        {MODULE: "class A:\n" + "".join(f"    {line}\n" for line in ("async " + LONG_PYTHON).splitlines())},
        "71",
    ),
    (code.modules_say_what_they_are_for, {LIB: "pub mod id;\n"}, "//! "),
    (code.modules_say_what_they_are_for, {LIB: "// What it is.\n//! Late.\n"}, "//! "),
    (code.modules_say_what_they_are_for, {MODULE: "import os\n"}, "docstring"),
    (code.modules_are_named_for_what_they_hold, {"crates/core/src/utils.rs": ""}, "`utils`"),
    (code.modules_are_named_for_what_they_hold, {"python/callboard/ag2/_helpers.py": ""}, "`_helpers`"),
    (code.modules_are_named_for_what_they_hold, {"crates/otlp/src/common/mod.rs": ""}, "`common`"),
    (code.dependencies_keep_to_their_walls, dependency('pyo3 = "0.30"'), "belongs in crates/python"),
    (
        code.dependencies_keep_to_their_walls,
        dependency('prost = "0.14"', "callboard"),
        "crates/otlp or crates/server",
    ),
    (code.dependencies_keep_to_their_walls, dependency("rusqlite.workspace = true", "otlp"), "crates/store"),
    (
        code.dependencies_keep_to_their_walls,
        dependency('sql = { package = "rusqlite", version = "1" }', "otlp"),
        "crates/store",
    ),
    (
        code.dependencies_keep_to_their_walls,
        dependency('axum = "0.8"', "otlp", "target.'cfg(unix)'.dependencies"),
        "crates/server",
    ),
    (
        code.dependencies_keep_to_their_walls,
        dependency('ureq = "3"', "callboard", "build-dependencies"),
        "crates/otlp",
    ),
    (code.dependencies_keep_to_their_walls, dependency('regex = "1"'), "core does without regex"),
    (
        code.crates_use_one_another_one_way,
        dependency("callboard-otlp.workspace = true"),
        "may not use crates/otlp",
    ),
    (
        code.crates_use_one_another_one_way,
        dependency("callboard.workspace = true", "otlp"),
        "may not use crates/callboard",
    ),
    (code.crates_use_one_another_one_way, dependency('log = "0.4"', "board"), "a new crate"),
    (
        code.only_the_manager_makes_ids,
        {"crates/otlp/src/encode.rs": "fn f() { RandomIds.span_id(); }"},
        "only the manager",
    ),
    (
        code.only_the_manager_makes_ids,
        {"crates/core/src/span.rs": "let id = run.ids\n    .span_id();"},
        "only the manager",
    ),
    (code.only_the_manager_makes_ids, {MODULE: "import uuid\n"}, "import of uuid"),
    (
        code.sql_stands_in_sql_files,
        {"crates/store/src/query.rs": 'const Q: &str = "SELECT name FROM runs";'},
        ".sql file",
    ),
    (
        code.sql_stands_in_sql_files,
        {"crates/store/src/query.rs": 'f(r#"\n  insert into runs values (?)"#)'},
        ":1:",
    ),
    (code.sql_stands_in_sql_files, {MODULE: 'query("DELETE FROM runs WHERE id = ?")'}, ".sql file"),
    (code.unsafe_stays_in_the_python_crate, {LIB: "//! x\nfn f() { unsafe { g() } }"}, f"{LIB}:2"),
    (
        code.unsafe_stays_in_the_python_crate,
        {"crates/python/src/a.rs": "fn f() { unsafe { g() } }"},
        "SAFETY",
    ),
    (code.nothing_is_unwrapped_outside_tests, {LIB: "fn f() {\n    g()\n        .unwrap();\n}"}, f"{LIB}:3"),
    (
        code.nothing_is_unwrapped_outside_tests,
        {LIB: "#[cfg(test)]\nmod tests { }\nfn f() { g().unwrap() }"},
        f"{LIB}:3",
    ),
    (code.the_hosts_output_is_its_own, {MODULE: "print('hello')"}, "`print`"),
    (code.the_hosts_output_is_its_own, {MODULE: "import sys\nsys.stdout.write('hello')"}, "sys.stdout.write"),
    (code.the_hosts_output_is_its_own, {LIB: 'fn f() { println!("hello") }'}, "`println!`"),
    (code.every_suppression_has_a_reason, {LIB: "#![allow(dead_code)]"}, "reason = "),
    (code.every_suppression_has_a_reason, {LIB: "#[expect(clippy::all)]\nfn f() {}"}, "reason = "),
    (code.every_suppression_has_a_reason, {LIB: "#[cfg_attr(unix, allow(dead_code))]"}, "reason = "),
    (code.every_suppression_has_a_reason, {MODULE: "x = 1  # noqa"}, "say why"),
    (code.every_suppression_has_a_reason, {MODULE: "x = 1  # noqa: E501, ANN401"}, "say why"),
    (code.every_suppression_has_a_reason, {MODULE: "x = 1  # type: ignore[assignment]"}, "say why"),
    (
        code.every_skipped_test_says_why,
        {"tests/test_a.py": SKIP + "@pytest.mark.skip\ndef test(): ..."},
        "pytest.mark.skip",
    ),
    (
        code.every_skipped_test_says_why,
        {"tests/test_a.py": SKIP + "@pytest.mark.skipif(True)\ndef test(): ..."},
        "reason",
    ),
    (code.every_skipped_test_says_why, {"tests/test_a.py": SKIP + "pytest.skip()"}, "pytest.skip"),
    (code.every_skipped_test_says_why, {LIB: "#[test]\n#[ignore]\nfn f() {}"}, "#[ignore"),
    (code.skipped_tests_are_told, {"pyproject.toml": WORKSPACE}, "addopts"),
    (code.skipped_tests_are_told, {"pyproject.toml": WORKSPACE + 'addopts = "-q"'}, "addopts"),
    (documents.the_changelog_has_room_for_what_comes, {"CHANGELOG.md": "# Changelog\n"}, "[Unreleased]"),
    (
        documents.the_changelog_has_room_for_what_comes,
        {"CHANGELOG.md": "## [0.1.0] - 2030-01-31\n"},
        "[Unreleased]",
    ),
    (
        documents.the_changelog_has_room_for_what_comes,
        {"CHANGELOG.md": "## [Unreleased]\n## 0.1\n"},
        "## 0.1",
    ),
    (
        documents.decisions_are_numbered,
        {"docs/decisions/0001-a.md": "", "docs/decisions/0003-b.md": ""},
        "0002",
    ),
    (documents.decisions_are_numbered, {"docs/decisions/Why not.md": ""}, "0001"),
    (documents.relative_links_lead_somewhere, {"README.md": "[it](docs/it.md)"}, "leads nowhere"),
    (documents.relative_links_lead_somewhere, {"docs/a.md": "![it](../b.svg)"}, "leads nowhere"),
    (documents.relative_links_lead_somewhere, {"README.md": "# One\n[it](#two)"}, "no heading #two"),
    (
        documents.relative_links_lead_somewhere,
        {"README.md": "[it](a.md#two)", "a.md": "# One"},
        "no heading #two",
    ),
    (documents.documents_name_commands_that_exist, {"README.md": "Run `make tea`.", **MAKEFILE}, "make tea"),
    (
        documents.documents_name_commands_that_exist,
        {"README.md": "```\nmake tea\n```", **MAKEFILE},
        "make tea",
    ),
    (documents.one_rust_is_asked_for, {"README.md": "Rust 1.70 or newer", **CARGO}, "asks for 1.89"),
    (
        documents.one_rust_is_asked_for,
        {"scripts/need": 'at_least 1.88 "$(rustc --version)"', **CARGO},
        "Rust 1.88",
    ),
    (documents.numbers_come_with_their_command, {"README.md": "# Cost\nIt is 25x faster."}, "25x"),
    (documents.numbers_come_with_their_command, {"README.md": "# Cost\nA span takes 1.6 µs."}, "1.6 µs"),
    (
        documents.numbers_come_with_their_command,
        {"README.md": "# Cost\n40,000 spans/s\n# How\n`make bench`"},
        "`# Cost`",
    ),
    (
        documents.python_in_documents_is_python,
        {"README.md": "```python\ndef f(:\n```", **PUBLIC},
        "README.md:1",
    ),
    (
        documents.python_in_documents_is_python,
        {"README.md": "\n```python\nfrom callboard import Board\n```", **PUBLIC},
        "`Board`",
    ),
    (documents.no_file_names_a_machine, {"Makefile": f"build:\n\tcd {HOME}"}, "Makefile:2"),
    (documents.no_file_names_a_machine, {"a.rs": '"C:' + '\\Users\\me"'}, "a.rs:1"),
    (
        documents.lock_files_name_public_registries,
        {"Cargo.lock": 'source = "registry+https://mirror.example/index"'},
        "mirror.example",
    ),
    (
        documents.lock_files_name_public_registries,
        {"tests/package-lock.json": '  "resolved": "http://10.0.0.1/a.tgz",'},
        "10.0.0.1",
    ),
]

NO_BREACHES = [
    (code.files_are_short, {LIB: "step!();\n" * 800 + "// a comment\n\n/* and\nmore */\n" * 100}),
    (code.files_are_short, {MODULE: '"""A\ndocstring."""\n' + "step()\n" * 800 + "# a comment\n\n" * 100}),
    (
        code.functions_are_short,
        {LIB: LONG_RUST.replace("    step();\n", "    // a comment, and a brace: }\n", 1)},
    ),
    (
        code.functions_are_short,
        {LIB: 'fn a() { f("}") }\ntrait T { fn b();\n' + "\n\nconst X: u8 = 1;" * 80 + "}"},
    ),
    (
        code.functions_are_short,
        {MODULE: LONG_PYTHON.replace("    step()\n", '    """Says\n    why."""\n', 1)},
    ),
    (
        code.modules_say_what_they_are_for,
        {LIB: "//! What it is.\n", MODULE: '"""What it is."""\n', "tests/__init__.py": ""},
    ),
    (
        code.modules_are_named_for_what_they_hold,
        {"crates/core/src/types_of_engines.rs": "", "docs/misc.md": ""},
    ),
    (code.dependencies_keep_to_their_walls, dependency('log = "0.4"\nserde_json = "1"')),
    (
        code.dependencies_keep_to_their_walls,
        dependency('opentelemetry-otlp = "0.31"', table="dev-dependencies"),
    ),
    (code.dependencies_keep_to_their_walls, dependency('pyo3 = "0.30"', "python")),
    (code.crates_use_one_another_one_way, dependency("callboard-core.workspace = true", "otlp")),
    (
        code.only_the_manager_makes_ids,
        {"crates/core/src/manager.rs": "ids.span_id()", LIB: "// RandomIds\nspan.span_id()"},
    ),
    (
        code.sql_stands_in_sql_files,
        {"crates/store/src/runs.sql": "SELECT name FROM runs", MODULE: '"""Select one from it."""'},
    ),
    (code.sql_stands_in_sql_files, {LIB: '// SELECT name FROM runs\nf("select an agent, from the list")'}),
    (
        code.unsafe_stays_in_the_python_crate,
        {"crates/python/src/a.rs": "// SAFETY: g is sound.\nunsafe { g() }", LIB: '"unsafe"'},
    ),
    (
        code.unsafe_stays_in_the_python_crate,
        {"crates/python/src/a.rs": 'type Call = unsafe extern "C" fn(*mut u8);'},
    ),
    (
        code.nothing_is_unwrapped_outside_tests,
        {LIB: "#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap() }\n}"},
    ),
    (code.nothing_is_unwrapped_outside_tests, {LIB: "f().unwrap_or_default(); // not .unwrap()"}),
    (code.nothing_is_unwrapped_outside_tests, {"crates/core/tests/it/main.rs": "f().unwrap();"}),
    (
        code.the_hosts_output_is_its_own,
        {MODULE: "message.print(x)", "examples/a.py": "print(1)", LIB: "fn print() {}"},
    ),
    (
        code.every_suppression_has_a_reason,
        {LIB: '#[expect(dead_code, reason = "[kept] for a test")]', MODULE: "'# noqa'"},
    ),
    (code.every_suppression_has_a_reason, {MODULE: "x = 1  # noqa: E402 (found by the lines above)"}),
    (
        code.every_skipped_test_says_why,
        {"tests/test_a.py": SKIP + "@pytest.mark.skip(reason='no node here')\ndef test(): ..."},
    ),
    (
        code.every_skipped_test_says_why,
        {"tests/test_a.py": SKIP + "pytest.skip('no node here')", LIB: '#[ignore = "slow"]'},
    ),
    (code.skipped_tests_are_told, {"pyproject.toml": WORKSPACE + 'addopts = "-ra"'}),
    (
        documents.the_changelog_has_room_for_what_comes,
        {"CHANGELOG.md": "## [Unreleased]\n\n## [0.1.0] - 2030-01-31\n"},
    ),
    (documents.decisions_are_numbered, {"docs/decisions/0001-a-b.md": "", "docs/decisions/0002-c.md": ""}),
    (
        documents.relative_links_lead_somewhere,
        {"docs/a.md": "[b](../README.md#the-way-in) [c](./)", "README.md": "## The `way` in"},
    ),
    (
        documents.relative_links_lead_somewhere,
        {"a.md": "[b](https://example.com/b.md) `[c](d.md)`\n```\n[e](f.md)\n```"},
    ),
    (documents.documents_name_commands_that_exist, {"README.md": "`make bench` will make sense", **MAKEFILE}),
    (
        documents.one_rust_is_asked_for,
        {"README.md": "Rust 1.89, written in Rust", "scripts/a": "at_least 1.26", **CARGO},
    ),
    (
        documents.numbers_come_with_their_command,
        {"README.md": "# Cost\n25x less, by `make bench`. \n# Limits\n64 MiB, 5 ms"},
    ),
    (
        documents.numbers_come_with_their_command,
        {"README.md": "# Code\n```\nsleep 5 us\n```\nversion 1.x and 0.7.x"},
    ),
    (
        documents.python_in_documents_is_python,
        {"README.md": "```python\nfrom callboard import SpanKind\n```\n```sh\nif [\n```", **PUBLIC},
    ),
    (
        documents.no_file_names_a_machine,
        {"a.md": "[docs](https://example.com/" + "home/x) ./" + "work/x $HOME/" + "work/x"},
    ),
    (
        documents.lock_files_name_public_registries,
        {"Cargo.lock": 'source = "registry+https://github.com/rust-lang/crates.io-index"'},
    ),
]


@pytest.mark.parametrize(("rule", "files", "complaint"), BREACHES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_breach_is_complained_of_once(rule, files, complaint):
    [told] = rule(files)
    assert complaint in told


@pytest.mark.parametrize(("rule", "files"), NO_BREACHES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_only_looks_like_a_breach_is_let_be(rule, files):
    assert list(rule(files)) == []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, *_ in BREACHES} == set(RULES)
    assert {rule for rule, *_ in NO_BREACHES} == set(RULES)


def test_every_rule_is_in_the_list():
    defined = {
        value
        for module in (code, documents)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and callable(value) and not name.startswith("_")
    }
    assert defined == set(RULES)


@pytest.mark.parametrize(
    ("text", "code_left"),
    [
        ("a // b\nc", "a     \nc"),
        ("/* a /* b */ c */d", "                 d"),
        ('f("// no comment", \'"\')', "f(_______________, ___)"),
        ('r#"a " b"# x', "__________ x"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        (r"'\'' '\u{1f}' b'\\' '}'", "____ ________ _____ ___"),
        ("r#fn x", "r#fn x"),
    ],
)
def test_the_scanner_tells_code_from_comments_and_texts(text, code_left):
    assert rust(text).code == code_left
