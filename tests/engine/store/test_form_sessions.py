"""Forms under way: one's own, for a day, the last one first."""

from datetime import timedelta

from engine.store import form_sessions
from engine.store.pool import Connection

SUBJECT = "CatalogItem:redis-cache"


async def test_a_form_is_found_by_its_id_and_by_its_subject(connection: Connection) -> None:
    first = await form_sessions.insert(connection, "U1", SUBJECT, {"size": "small"})
    second = await form_sessions.insert(connection, "U1", SUBJECT, {"size": "large"}, "sealed")

    found = await form_sessions.find(connection, first, "U1")
    latest = await form_sessions.latest(connection, "U1", SUBJECT)
    assert found is not None
    assert found.state == {"size": "small"}
    assert latest is not None
    assert (latest.id, latest.ciphertext) == (second, "sealed")


async def test_a_touched_form_is_the_latest(connection: Connection) -> None:
    first = await form_sessions.insert(connection, "U1", SUBJECT, {})
    await form_sessions.insert(connection, "U1", SUBJECT, {})

    assert await form_sessions.update(connection, first, "U1", {"size": "large"})

    latest = await form_sessions.latest(connection, "U1", SUBJECT)
    assert latest is not None
    assert (latest.id, latest.state) == (first, {"size": "large"})


async def test_nobody_sees_or_changes_somebody_elses_form(connection: Connection) -> None:
    theirs = await form_sessions.insert(connection, "U1", SUBJECT, {})

    assert await form_sessions.find(connection, theirs, "U2") is None
    assert await form_sessions.latest(connection, "U2", SUBJECT) is None
    assert not await form_sessions.update(connection, theirs, "U2", {})


async def test_a_form_is_kept_for_a_day(connection: Connection) -> None:
    old = await form_sessions.insert(connection, "U1", SUBJECT, {})
    new = await form_sessions.insert(connection, "U1", SUBJECT, {})
    await connection.execute(
        "UPDATE form_sessions SET expires_at = expires_at - %(age)s WHERE id = %(id)s",
        {"age": timedelta(hours=24), "id": old},
    )

    assert await form_sessions.find(connection, old, "U1") is None
    assert not await form_sessions.update(connection, old, "U1", {})
    assert await form_sessions.expire(connection) == 1
    assert await form_sessions.find(connection, new, "U1") is not None


async def test_all_forms_about_a_subject_are_forgotten_together(connection: Connection) -> None:
    for subject in (SUBJECT, SUBJECT, "CatalogItem:other"):
        await form_sessions.insert(connection, "U1", subject, {})

    await form_sessions.delete(connection, "U1", SUBJECT)

    assert await form_sessions.latest(connection, "U1", SUBJECT) is None
    assert await form_sessions.latest(connection, "U1", "CatalogItem:other") is not None
