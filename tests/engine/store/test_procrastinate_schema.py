"""The migration holds procrastinate's schema as the installed version ships it."""

from __future__ import annotations

from importlib.metadata import version

from procrastinate.schema import SchemaManager

import sql


def test_the_migration_is_the_schema_of_the_installed_version() -> None:
    ours = (sql.ROOT / "migrations/0010_procrastinate.sql").read_text("utf-8")

    assert ours.endswith(SchemaManager.get_schema())
    assert version("procrastinate").startswith("3.10.")
