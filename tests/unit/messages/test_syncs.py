"""What NOTIFY_CHANNEL is told of a sync: what changed, what is wrong, and where to see the difference."""

from dataclasses import replace

from bot.messages.notices import synced
from engine import SyncReport

WAS, IS_NOW = "a" * 40, "b" * 40
REPORT = SyncReport(
    status="completed",
    commit=IS_NOW,
    previous_commit=WAS,
    counts={},
    unchanged=3,
    errors=[{"file": "catalog/x.yaml", "line": 3, "message": "no *such* key"}],
    warnings=(),
    changes=[
        {"kind": "CatalogItem", "name": "redis", "change": "updated", "from_version": "1.0.0",
         "to_version": "1.1.0"}
    ],
)  # fmt: skip


def test_a_sync_says_what_changed_what_is_wrong_and_where_to_look() -> None:
    told = synced(replace(REPORT, compare_url=f"https://git.example/compare/{WAS}...{IS_NOW}"))

    assert f"<https://git.example/compare/{WAS}...{IS_NOW}|What changed>" in told
    assert ":up: `redis` 1.0.0 → 1.1.0" in told
    assert "`catalog/x.yaml:3` no ∗such∗ key" in told


def test_a_repository_without_a_page_gets_no_link() -> None:
    assert "What changed" not in synced(REPORT)
