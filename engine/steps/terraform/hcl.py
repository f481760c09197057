"""The variables and outputs that a module declares, read from its files.

Only as much of HCL as this takes: comments, strings with templates inside, heredocs and nested
blocks are stepped over, `variable` and `output` blocks and their `sensitive` are seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST_FILE = 1 << 20
"""Bytes of a module's file."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |<<-?\s*(?P<heredoc>[A-Za-z_][\w-]*)\r?\n
    |(?P<word>[A-Za-z_][\w-]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a module declares: its variables' names, and its outputs, each with its secrecy."""

    variables: frozenset[str]
    outputs: Mapping[str, bool]


def module_declarations(folder: Path) -> Declarations:
    """Return what the module in a folder declares.

    Blocking. Raises ValueError, with the file's name, for a file that cannot be read.
    """
    variables: set[str] = set()
    outputs: dict[str, bool] = {}
    for block in _blocks(folder):
        if block.kind == "variable":
            variables.add(block.name)
        elif block.kind == "output":
            outputs[block.name] = outputs.get(block.name, False) or block.sensitive
    return Declarations(frozenset(variables), outputs)


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    name: str
    sensitive: bool


def _blocks(folder: Path) -> Iterator[_Block]:
    for file in sorted(folder.iterdir()):
        try:
            if file.name.endswith((".tf.json", ".tofu.json")):
                yield from _json_blocks(json.loads(_text(file)))
            elif file.suffix in {".tf", ".tofu"}:
                yield from _hcl_blocks(_text(file))
        except (ValueError, RecursionError, IndexError) as error:
            raise ValueError(f"{file.name} cannot be read: {error}") from error


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE} bytes")
    return data.decode("utf-8", "replace")


def _json_blocks(document: Any) -> Iterator[_Block]:
    """Yield the blocks of a JSON file; each level may be an object or a list of them."""
    for whole in _many(document):
        for kind in ("variable", "output"):
            for named in _many(whole.get(kind, {})):
                for name, bodies in named.items():
                    flags = [body.get("sensitive", False) for body in _many(bodies)]
                    yield _Block(kind, name, any(flag is not False for flag in flags))


def _many(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _hcl_blocks(text: str) -> Iterator[_Block]:
    """Walk the tokens: `output NAME {` at the top, `sensitive = WORD` one level below."""
    depth, kind, name, sensitive = 0, "", "", False
    before: tuple[str, str, str] = ("", "", "")
    for token in _tokens(text):
        if token == "{" and depth == 0:
            kind, name, sensitive = before[1], before[2].removeprefix('"'), False
        if depth == 1 and before[1:] == ("sensitive", "="):
            sensitive = token != "false"
        depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(token, 0)
        if token == "}" and depth == 0:
            yield _Block(kind, name, sensitive)
        before = (*before[1:], token)


def _tokens(text: str) -> Iterator[str]:
    """Yield words, single characters, and strings with the quote that begins them."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return
        at = match.end()
        if match["heredoc"]:
            at = _end_of_heredoc(text, at, match["heredoc"])
        elif match["other"] == '"':
            end = _end_of_string(text, at)
            yield text[at - 1 : end - 1]
            at = end
        elif not match["skip"]:
            yield match[0]


def _end_of_heredoc(text: str, at: int, word: str) -> int:
    end = re.compile(rf"^[ \t]*{re.escape(word)}[ \t]*\r?$", re.MULTILINE).search(text, at)
    if end is None:
        raise ValueError(f"the heredoc {word} has no end")
    return end.end()


def _end_of_string(text: str, at: int) -> int:
    """Return the place after the closing quote; templates inside may hold strings themselves."""
    while text[at] != '"':
        if text[at] == "\\":
            at += 2
        elif text[at : at + 3] in {"$${", "%%{"}:
            at += 3
        elif text[at : at + 2] in {"${", "%{"}:
            at = _end_of_template(text, at + 2)
        else:
            at += 1
    return at + 1


def _end_of_template(text: str, at: int) -> int:
    depth = 1
    while depth:
        char = text[at]
        at += 1
        if char == '"':
            at = _end_of_string(text, at)
        depth += {"{": 1, "}": -1}.get(char, 0)
    return at
