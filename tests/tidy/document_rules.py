"""The house rules for documents, and for what no file of the repository may hold."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath

from code_rules import Complaints
from sources import Files, of_kind

# ---- documents that the repository must have


def the_changelog_has_room_for_what_comes(files: Files) -> Complaints:
    """As https://keepachangelog.com has it."""
    sections = re.findall(r"^## (.*)$", files.get("CHANGELOG.md", ""), re.MULTILINE)
    if not sections or sections[0].strip() != "[Unreleased]":
        yield "CHANGELOG.md: begin it with `## [Unreleased]`: what users get with the next release"
    for section in sections[1:]:
        if not re.fullmatch(r"\[\d+\.\d+\.\d+\S*\] - \d{4}-\d\d-\d\d(?: \[YANKED\])?", section.strip()):
            yield f"CHANGELOG.md: `## {section}`: write `## [1.2.3] - 2030-12-31`"


def decisions_are_numbered(files: Files) -> Complaints:
    """`docs/decisions/NNNN-title.md`, counted from 1 without a gap, so that a number is a name for good."""
    paths = sorted(path for path in files if path.startswith("docs/decisions/"))
    for number, path in enumerate(paths, 1):
        if not re.fullmatch(rf"docs/decisions/{number:04}-[a-z0-9-]+\.md", path):
            yield f"{path}: name it docs/decisions/{number:04}-its-title.md: numbers have no gap"


# ---- links, commands, numbers, code

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)[^)]*\)|!\[[^\]\n]*\]\((?P<image>[^)\s]+)[^)]*\)")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```", re.MULTILINE | re.DOTALL)


def relative_links_lead_somewhere(files: Files) -> Complaints:
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    for path, text in of_kind(files, ".md"):
        for match in LINK.finditer(_without_code(text)):
            target, _, fragment = (match["target"] or match["image"]).partition("#")
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            found = path if not target else normpath(str(PurePosixPath(path).parent / target))
            if found not in files and found not in folders:
                yield f"{path}: the link to {target} leads nowhere: mend it"
            elif fragment and found.endswith(".md") and fragment not in _anchors(files[found]):
                yield f"{path}: {found} has no heading #{fragment}: mend the link"


def documents_name_commands_that_exist(files: Files) -> Complaints:
    targets = set(re.findall(r"^([a-z][\w-]*):", files.get("Makefile", ""), re.MULTILINE))
    for path, text in of_kind(files, ".md"):
        for target in sorted(set(re.findall(r"(?:`|^\s*|\$ )make ([a-z][\w-]*)", text, re.MULTILINE)) - targets):
            yield f"{path}: `make {target}`: the Makefile has no such target"


def one_rust_is_asked_for(files: Files) -> Complaints:
    """By Cargo, by the script that looks for it, and by whoever writes of it."""
    wanted = re.search(r'^rust-version = "([\d.]+)"', files.get("Cargo.toml", ""), re.MULTILINE)
    for path, text in files.items():
        if wanted and (path.endswith(".md") or path.startswith("scripts/")):
            told = re.findall(r"\bRust ([\d.]*\d)", text) + re.findall(r"at_least ([\d.]+) .*rustc", text)
            for version in sorted(set(told) - {wanted[1]}):
                yield f"{path}: it says Rust {version}, Cargo.toml asks for {wanted[1]}: say the same"


MEASURED = re.compile(
    r"(?<![\w.])\d+(?:[.,]\d+)*\s?(?:"
    r"[nuµ]s\b|microseconds?\b|nanoseconds?\b|"
    r"x\b(?! \d)|\N{MULTIPLICATION SIGN}|times (?:less|more|faster|slower)|"
    r"(?:spans?|records?|events?|[MG]i?B) ?(?:/ ?s|a second|per second)\b)"
)


def numbers_come_with_their_command(files: Files) -> Complaints:
    """A speed, a ratio or a throughput is a claim: the same section names the command that measures it."""
    for path, text in of_kind(files, ".md"):
        for heading, section in _sections(text):
            claim = MEASURED.search(_without_code(section))
            if claim and not re.search(r"`make [a-z-]+`|`cargo [a-z-]+|`\.venv/bin/python ", section):
                yield (
                    f"{path}: under `{heading}` the number `{claim.group().strip()}`: name the command that "
                    "measures it, such as `make bench`, in the same section"
                )


def python_in_documents_is_python(files: Files) -> Complaints:
    """It parses, and what it imports from callboard is public."""
    public = _public_names(files.get("python/callboard/__init__.py", ""))
    for path, text in of_kind(files, ".md"):
        for match in FENCE.finditer(text):
            if match["language"] not in ("python", "py"):
                continue
            line = text.count("\n", 0, match.start()) + 1
            try:
                tree = ast.parse(textwrap.dedent(match["body"]))
            except SyntaxError as error:
                yield f"{path}:{line}: this code is no Python: {error.msg}"
                continue
            for name in sorted(_imported_from_callboard(tree) - public):
                yield f"{path}:{line}: callboard has no public name `{name}`"


def _public_names(init: str) -> set[str]:
    for node in ast.parse(init).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _imported_from_callboard(tree: ast.AST) -> set[str]:
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "callboard")
    return {alias.name for node in froms for alias in node.names}


# ---- every file

MACHINE_PATH = re.compile(r"(?<![\w.:/$~}-])/(?:work|root|home|Users)/[\w.]|\b[A-Z]:\\Users\\")


def no_file_names_a_machine(files: Files) -> Complaints:
    for path, text in files.items():
        for number, line in enumerate(text.split("\n"), 1):
            if found := MACHINE_PATH.search(line):
                yield f"{path}:{number}: `{found.group()}…` is a path of one machine: make it relative"


PUBLIC_REGISTRIES = ("registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org/")


def lock_files_name_public_registries(files: Files) -> Complaints:
    """A lock file made behind a mirror would send everybody to that mirror."""
    for path, text in files.items():
        if PurePosixPath(path).name in ("Cargo.lock", "package-lock.json"):
            named = set(re.findall(r'^\s*"?(?:source|resolved)"?\s*[=:]\s*"([^"]+)"', text, re.MULTILINE))
            for address in sorted(named):
                if not address.startswith(PUBLIC_REGISTRIES):
                    yield f"{path}: {address} is no public registry: lock it again without the mirror"


# ---- how the rules read Markdown


def _without_code(text: str) -> str:
    """Code spans keep their length but lose what they say: a path or number in one is an example."""
    return re.sub(r"`[^`\n]*`", lambda span: "`" * len(span.group()), FENCE.sub("", text))


def _sections(text: str) -> Iterator[tuple[str, str]]:
    parts = re.split(
        r"^(#{1,6} .*)$",
        FENCE.sub(lambda fence: fence.group().replace("\n#", "\n "), text),
        flags=re.MULTILINE,
    )
    yield from zip(["(the beginning)", *parts[1::2]], parts[0::2], strict=True)


def _anchors(text: str) -> set[str]:
    """The fragments by which GitHub knows the headings of a page."""
    headings = re.findall(r"^#{1,6} +(.*?) *$", FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


RULES = (
    the_changelog_has_room_for_what_comes,
    decisions_are_numbered,
    relative_links_lead_somewhere,
    documents_name_commands_that_exist,
    one_rust_is_asked_for,
    numbers_come_with_their_command,
    python_in_documents_is_python,
    no_file_names_a_machine,
    lock_files_name_public_registries,
)
