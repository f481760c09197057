"""The outputs that a module declares, read from its files.

Only as much of HCL as this takes: comments, strings with templates inside, heredocs and nested
blocks are stepped over, `output` blocks and their `sensitive` are seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LARGEST_FILE = 1 << 20
"""Bytes of a module's file."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |<<-?\s*(?P<heredoc>[A-Za-z_][\w-]*)\r?\n
    |(?P<word>[A-Za-z_][\w-]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def module_outputs(folder: Path) -> dict[str, bool]:
    """Return the names of a module's outputs, each with whether it is sensitive.

    Blocking. Raises ValueError, with the file's name, for a file that cannot be read.
    """
    outputs: dict[str, bool] = {}
    for file in sorted(folder.iterdir()):
        is_json = file.name.endswith((".tf.json", ".tofu.json"))
        if not is_json and file.suffix not in {".tf", ".tofu"}:
            continue
        try:
            found = _outputs_of_json(_text(file)) if is_json else _outputs_of_hcl(_text(file))
        except (ValueError, RecursionError, IndexError) as error:
            raise ValueError(f"{file.name} cannot be read: {error}") from error
        for name, sensitive in found:
            outputs[name] = outputs.get(name, False) or sensitive
    return outputs


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE} bytes")
    return data.decode("utf-8", "replace")


def _outputs_of_json(text: str) -> Iterator[tuple[str, bool]]:
    document = json.loads(text)
    blocks = document.get("output", {}) if isinstance(document, Mapping) else {}
    for block in blocks if isinstance(blocks, list) else [blocks]:
        for name, body in block.items():
            bodies = body if isinstance(body, list) else [body]
            yield name, any(one.get("sensitive", False) is not False for one in bodies)


def _outputs_of_hcl(text: str) -> Iterator[tuple[str, bool]]:
    """Walk the tokens: `output NAME {` at the top, `sensitive = WORD` one level below."""
    depth, name, sensitive = 0, "", False
    before: tuple[str, str, str] = ("", "", "")
    for token in _tokens(text):
        if token == "{" and depth == 0:
            name, sensitive = (before[2] if before[1] == "output" else ""), False
        if depth == 1 and before[1:] == ("sensitive", "="):
            sensitive = token != "false"
        depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(token, 0)
        if token == "}" and depth == 0 and name:
            yield name, sensitive
            name = ""
        before = (*before[1:], token)


def _tokens(text: str) -> Iterator[str]:
    """Yield words, single characters, and the contents of strings."""
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
            yield text[at : end - 1]
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
