"""get_catalog_item_with_bundle_context: an item and the bundles that contain it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.founding_rows import Rows


async def context(rows: Rows, name: str = "Cache") -> list[Any]:
    return await rows.all(
        "SELECT item_name, bundle_name, is_required, version_constraint"
        " FROM get_catalog_item_with_bundle_context(%s)",
        name,
    )


def definition(*required: dict[str, str], optional: tuple[dict[str, str], ...] = ()) -> Any:
    return {"required_items": list(required), "optional_items": list(optional)}


async def test_an_item_in_no_bundle_stands_alone(rows: Rows) -> None:
    await rows.item("Cache")
    await rows.bundle("Web", definition({"catalog_item": "Database"}))

    assert await context(rows) == [("Cache", None, None, None)]


@pytest.mark.parametrize("named", ["Cache", "cache"])
async def test_bundles_name_their_items_by_name_or_slug(rows: Rows, named: str) -> None:
    await rows.item("Cache")
    await rows.bundle("Web", definition({"catalog_item": named, "version": "^1"}))

    assert await context(rows) == [("Cache", "Web", True, "^1")]


async def test_an_item_is_asked_for_by_name_or_slug(rows: Rows) -> None:
    await rows.item("Cache")

    assert await context(rows, "cache") == await context(rows, "Cache")


async def test_optional_items_are_found_and_told_apart(rows: Rows) -> None:
    await rows.item("Cache")
    await rows.bundle("Shop", definition(optional=({"catalog_item": "Cache"},)))
    await rows.bundle("Web", definition({"catalog_item": "Cache"}))

    assert await context(rows) == [("Cache", "Shop", False, None), ("Cache", "Web", True, None)]


async def test_an_item_twice_in_a_bundle_is_one_row_and_required_if_once(rows: Rows) -> None:
    await rows.item("Cache")
    both = definition(
        {"name": "main", "catalog_item": "Cache"}, optional=({"catalog_item": "Cache"},)
    )
    await rows.bundle("Web", both)

    assert await context(rows) == [("Cache", "Web", True, None)]


async def test_bundles_that_left_the_catalog_are_left_out(rows: Rows) -> None:
    await rows.item("Cache")
    await rows.bundle("Web", definition({"catalog_item": "Cache"}), is_active=False)

    assert await context(rows) == [("Cache", None, None, None)]


async def test_an_unknown_item_has_no_row(rows: Rows) -> None:
    assert await context(rows) == []


@pytest.mark.parametrize("odd", [{}, {"required_items": None}, {"required_items": ["Cache", 1]}])
async def test_an_odd_definition_contains_nothing(rows: Rows, odd: Any) -> None:
    await rows.item("Cache")
    await rows.bundle("Odd", odd)

    assert await context(rows) == [("Cache", None, None, None)]
