"""What a person may not see answers exactly like what does not exist, and is audited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine import NotFound, PaoError, Submission
from tests.support.engines import ADMIN, ALICE, MALLORY, add_item, rows_of
from tests.support.workbench import Workbench, step

LIMITED = {"teams": ["payments"]}
GONE = replace(ALICE, is_active=False)


async def said(refused: Any) -> tuple[type, str, str]:
    with pytest.raises(PaoError) as error:
        await refused
    return type(error.value), error.value.code, str(error.value)


@pytest.mark.parametrize("stranger", [MALLORY, GONE], ids=["another team", "deactivated"])
async def test_a_limited_item_answers_like_one_that_does_not_exist(
    bench: Workbench, stranger: Any
) -> None:
    await add_item(bench.connection, "vault", access=LIMITED)
    engine = bench.engine
    for ask in (
        lambda name: engine.submit(stranger, Submission({}, item=name)),
        lambda name: engine.check(stranger, Submission({}, item=name)),
        lambda name: engine.catalog_entry(stranger, name),
        lambda name: engine.catalog_entry(stranger, name, "CatalogItem"),
    ):
        kind, code, hidden = await said(ask("vault"))
        assert (kind, code, hidden) == tuple(
            part.replace("vaulx", "vault") if isinstance(part, str) else part
            for part in await said(ask("vaulx"))
        )
        assert issubclass(kind, NotFound)


@pytest.mark.parametrize("stranger", [MALLORY, GONE], ids=["another team", "deactivated"])
async def test_a_typo_proposes_nothing_that_one_may_not_see(
    bench: Workbench, stranger: Any
) -> None:
    await add_item(bench.connection, "vault", access=LIMITED)
    for ask in (
        bench.engine.submit(stranger, Submission({}, item="vaul")),
        bench.engine.catalog_entry(stranger, "vaul"),
    ):
        assert "vault" not in (await said(ask))[2]
    with pytest.raises(NotFound, match="vault"):
        await bench.engine.submit(ALICE, Submission({}, item="vaul"))


async def test_a_refused_look_at_the_catalog_is_audited(bench: Workbench) -> None:
    await add_item(bench.connection, "vault", access=LIMITED)
    await said(bench.engine.catalog_entry(MALLORY, "vault"))
    await said(bench.engine.submit(MALLORY, Submission({}, item="vault")))
    assert await rows_of(
        bench.connection, "SELECT actor, action, target, outcome FROM audit_log ORDER BY id"
    ) == [
        ("U3", "catalog.see", "vault", "denied"),
        ("U3", "request.submit", "vault", "denied"),
    ]


@pytest.mark.parametrize("stranger", [MALLORY, replace(ADMIN, is_active=False), GONE], ids=str)
async def test_ids_of_others_answer_like_ids_of_nothing_whole_or_shortened(
    bench: Workbench, stranger: Any
) -> None:
    engine = bench.engine
    view = await bench.request([step("a")])
    id_, instance = view.request_id, view.instance_id or ""
    nothing = "req-20200101-zzzzzzzz"
    for ask in (
        lambda id_: engine.request(stranger, id_),
        lambda id_: engine.cancel(stranger, id_),
        lambda id_: engine.abort(stranger, id_),
        lambda id_: engine.resume(stranger, id_),
        lambda id_: engine.retry(stranger, id_, "a"),
        lambda id_: engine.skip(stranger, id_, "a", "why"),
        lambda id_: engine.resolve(stranger, id_, "a"),
        lambda id_: engine.logs(stranger, id_, "a"),
        lambda id_: engine.secret_outputs(stranger, id_),
        lambda id_: engine.secret_parameters(stranger, id_),
        lambda id_: engine.watch(stranger, id_),
    ):
        for theirs in (id_, id_[:9], id_[-8:]):
            kind, code, words = await said(ask(theirs))
            other_kind, other_code, other = await said(ask(nothing))
            assert (kind, code) == (other_kind, other_code)
            assert words.replace(theirs, nothing) == other
    for look in (
        lambda id_: engine.instance(stranger, id_),
        lambda id_: engine.instance_dependencies(stranger, id_),
        lambda id_: engine.instance_graph(stranger, id_),
        lambda id_: engine.instance_history(stranger, id_),
        lambda id_: engine.instance_timeline(stranger, id_),
        lambda id_: engine.instance_operations(stranger, id_),
        lambda id_: engine.can_decommission(stranger, id_),
    ):
        kind, code, words = await said(look(instance))
        assert words.replace(instance, "si-zzzzzzzz") == (await said(look("si-zzzzzzzz")))[2]
    denied = await rows_of(
        bench.connection, "SELECT DISTINCT outcome FROM audit_log WHERE target = %s", id_[:9]
    )
    assert denied == ["denied"]


@pytest.mark.parametrize("gone", [GONE, replace(ADMIN, is_active=False)], ids=["alice", "admin"])
async def test_a_deactivated_person_sees_and_does_nothing_at_once(
    bench: Workbench, gone: Any
) -> None:
    engine = bench.engine
    await bench.request([step("a")])
    for scope in ("mine", "team", "all"):
        assert not (await engine.requests(gone, scope=scope)).items
        assert not (await engine.instances(gone, scope=scope)).items
    assert not (await engine.catalog_entries(gone)).items
    assert not (await engine.catalog_entries(gone, text="database")).items
    for verb in (
        engine.pause,
        engine.unpause,
        engine.audit_log,
        engine.catalog_stats,
        engine.rotate_keys,
        engine.sync_catalog,
    ):
        with pytest.raises(PaoError) as error:
            await verb(gone)
        assert error.value.code == "forbidden", verb


async def test_no_id_of_a_machines_operator_comes_from_slack(bench: Workbench) -> None:
    for forged in ("cli:root", "cli:playground", "CLI:root", " cli:root"):
        try:
            actor = await bench.engine.actor(forged, source="slack")
        except NotFound:
            continue
        assert not actor.is_admin
