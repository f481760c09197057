"""Verbs that do not apply: the command says why and what to do, in the table and as data."""

from __future__ import annotations

from pathlib import Path

from engine.store.pool import Connection
from tests.support.command_line import on_database
from tests.support.engines import add_item, automation
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

VERBS: dict[str, tuple[str, ...]] = {
    "resume": (),
    "retry": ("make",),
    "skip": ("make", "--reason", "not needed"),
    "resolve": ("make",),
    "abort": ("--yes",),
    "cancel": (),
    "approve": (),
    "reject": ("--reason", "too dear"),
}


async def test_a_completed_request_refuses_every_verb_in_words(
    connection: Connection, dsn: str, tmp_path: Path, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/create", json={"endpoint": "db"})
    step = {"name": "make", "type": "HttpPost", "template": {"url": f"{http_server.url}/create"}}
    await add_item(connection, fulfillment=automation([step]))
    pao = on_database(Pao(tmp_path), dsn)
    done = await pao.json("request", "submit", "--item", "database", "--wait")
    assert done["status"] == "completed"
    for verb, options in VERBS.items():
        refused = await pao("request", verb, done["request_id"], *options, "--output", "json")
        assert refused.code == 1, (verb, refused.out, refused.err)
        error = refused.json["error"]
        assert error["code"] in ("wrong_status", "not_waiting"), verb
        assert error["request_id"] == done["request_id"]
        assert f"{done['request_id']}" in error["message"], verb
        assert "it is completed" in error["message"], verb
        assert error["message"] in refused.err
