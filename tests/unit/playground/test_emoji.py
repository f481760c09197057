"""The playground draws every emoji that the bot and the example catalog use."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

import bot

ROOT = Path(bot.__file__).parent.parent
TABLE = (ROOT / "bot/playground/web/emoji.js").read_text()


def said_by_the_bot() -> Iterator[str]:
    """Yield the shortcodes in the texts of the bot's own code."""
    for folder in ("bot/messages", "bot/forms", "handlers"):
        for file in (ROOT / folder).rglob("*.py"):
            texts = re.findall(r'"[^"\n]*"', file.read_text())
            yield from (name for text in texts for name in re.findall(r":([a-z][a-z_]+):", text))


def icons_of_the_examples() -> Iterator[str]:
    for file in (ROOT / "examples/catalog").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if isinstance(document, dict) and document.get("icon"):
                yield str(document["icon"]).strip(":")


def test_every_emoji_is_drawn() -> None:
    used = {*said_by_the_bot(), *icons_of_the_examples()}
    unknown = {name for name in used if not re.search(rf'[ "]{name}"?: "', TABLE)}

    assert len(used) > 30
    assert unknown == set()
