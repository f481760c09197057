"""Dependencies: reading them, and the trigger that refuses wrong ones."""

from __future__ import annotations

import itertools
from uuid import uuid4

import psycopg
import pytest

from tests.support.founding_rows import Rows

READ = (
    "SELECT relationship, instance_id, dependency_type, dependency_name, is_required"
    " FROM get_instance_dependencies(%s, %s)"
)


@pytest.mark.parametrize(
    ("direction", "relationships"),
    [
        ("providers", ["provider"]),
        ("dependents", ["dependent"]),
        ("both", ["provider", "dependent"]),
    ],
)
async def test_dependencies_are_read_in_either_direction(
    rows: Rows, direction: str, relationships: list[str]
) -> None:
    above, middle, below = [await rows.instance() for _ in range(3)]
    await rows.depend(middle, above)
    await rows.depend(below, middle, "network", required=False)
    expected = {
        "provider": ("provider", above, "data", "db", True),
        "dependent": ("dependent", below, "network", "db", False),
    }

    assert await rows.all(READ, middle, direction) == [expected[r] for r in relationships]


async def test_both_directions_are_what_is_read_unless_told(rows: Rows) -> None:
    instance = await rows.instance()
    await rows.depend(instance, await rows.instance())
    await rows.depend(await rows.instance(), instance)

    assert await rows.value("SELECT count(*) FROM get_instance_dependencies(%s)", instance) == 2


@pytest.mark.parametrize("direction", ["upwards", "", None])
async def test_an_unknown_direction_raises(rows: Rows, direction: str | None) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="Unknown direction"):
        await rows.all(READ, uuid4(), direction)


@pytest.mark.parametrize("state", ["decommissioning", "decommissioned"])
async def test_nothing_new_depends_on_what_is_going(rows: Rows, state: str) -> None:
    provider = await rows.instance(state)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.depend(await rows.instance(), provider)

    assert refused.value.diag.constraint_name == "check_dependencies_provider_stays"


@pytest.mark.parametrize("state", ["provisioning", "active", "updating", "degraded", "failed"])
async def test_what_stays_can_be_depended_on(rows: Rows, state: str) -> None:
    assert await rows.depend(await rows.instance(), await rows.instance(state))


async def test_a_dependency_cannot_be_moved_to_what_is_going(rows: Rows) -> None:
    dependency = await rows.depend(await rows.instance(), await rows.instance())

    with pytest.raises(psycopg.errors.CheckViolation):
        await rows.value(
            "UPDATE service_instance_dependencies SET provider_instance_id = %s WHERE id = %s"
            " RETURNING 1",
            await rows.instance("decommissioning"), dependency,
        )  # fmt: skip


async def test_an_instance_does_not_depend_on_itself(rows: Rows) -> None:
    instance = await rows.instance()

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.depend(instance, instance)

    assert refused.value.diag.constraint_name == "check_dependencies_not_itself"


@pytest.mark.parametrize("length", [2, 3, 6])
async def test_a_circle_is_refused_however_long(rows: Rows, length: int) -> None:
    chain = [await rows.instance() for _ in range(length)]
    for dependent, provider in itertools.pairwise(chain):
        await rows.depend(dependent, provider)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.depend(chain[-1], chain[0])

    assert refused.value.diag.constraint_name == "check_dependencies_no_cycle"


async def test_a_circle_within_one_statement_is_refused(rows: Rows) -> None:
    one, other = await rows.instance(), await rows.instance()

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.value(
            "INSERT INTO service_instance_dependencies (dependent_instance_id,"
            " provider_instance_id, dependency_type) VALUES (%s, %s, 'data'), (%s, %s, 'data')"
            " RETURNING 1",
            one, other, other, one,
        )  # fmt: skip

    assert refused.value.diag.constraint_name == "check_dependencies_no_cycle"


async def test_two_ways_to_one_provider_are_no_circle(rows: Rows) -> None:
    top, left, right, bottom = [await rows.instance() for _ in range(4)]

    for dependent, provider in [(bottom, left), (bottom, right), (left, top), (right, top)]:
        assert await rows.depend(dependent, provider)


async def test_an_unknown_provider_is_refused_by_its_key(rows: Rows) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await rows.depend(await rows.instance(), uuid4())
