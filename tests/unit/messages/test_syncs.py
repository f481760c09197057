"""What NOTIFY_CHANNEL is told of a sync: what changed, what is wrong, and where to see the difference."""

from dataclasses import replace
from datetime import UTC, datetime

from bot.messages.notices import stats, synced
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


def test_the_catalog_in_numbers_is_told_in_words() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    told = stats(
        {
            "documents": [
                {"kind": "CatalogItem", "lifecycle": "active", "count": 6},
                {"kind": "CatalogItem", "lifecycle": "deprecated", "count": 1},
            ],
            "categories": [{"category": "databases", "count": 2}],
            "most_requested": [{"name": "redis", "requests": 2, "failed": 1}],
            "syncs": [{"sync_started_at": noon, "status": "completed", "error_count": 0}],
        }
    )
    assert told.splitlines()[:4] == [
        "*The catalog in numbers*",
        "• Documents: 6 CatalogItem; 1 CatalogItem (deprecated)",
        "• Categories: databases 2",
        "• Most requested: redis 2 times, 1 failed",
    ]
    assert told.endswith(": completed, 0 errors")
