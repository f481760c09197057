"""A document's icon is the name of an emoji, and nothing else of it reaches Slack's markup."""

from __future__ import annotations

import json

import pytest

from bot.messages import lists
from bot.messages.lists import Query
from engine import CatalogEntry, Page


@pytest.mark.parametrize("icon", ["<!channel>", "<http://evil|look>", ":<@U1>:"])
def test_an_icon_mentions_nobody_and_links_nowhere(icon: str) -> None:
    words = ("db", "db", "Database", "1.0.0", None, "payments", (), None, "active")
    shown = json.dumps(
        lists.catalog(Page([CatalogEntry("CatalogItem", *words, icon)]), Query("catalog"))
    )
    assert icon.strip(":") not in shown
