"""Approvals on the command line, and what a waiting command says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.store.pool import Connection
from tests.support.command_line import CommandLine, on_database
from tests.support.engines import add_item, automation
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

APPROVAL = {"required": True, "approvers": [{"user": "U4"}, {"user": "U5"}], "count": 2}
ORDER = ("request", "submit", "--item", "database", "--as", "U1")


@pytest.fixture
async def pao_approving(
    connection: Connection, dsn: str, tmp_path: Path, http_server: HttpServer
) -> CommandLine:
    """An item that two of U4 and U5 must approve, made by one call."""
    http_server.answer("POST", "/create", json={"endpoint": "db"})
    step = {"name": "make", "type": "HttpPost", "template": {"url": f"{http_server.url}/create"}}
    await add_item(connection, fulfillment=automation([step]), approval=APPROVAL)
    return on_database(Pao(tmp_path), dsn)


async def test_a_request_runs_when_enough_have_approved(
    pao_approving: CommandLine, http_server: HttpServer
) -> None:
    made = await pao_approving.json(*ORDER)
    assert made["status"] == "submitted"
    assert made["approvals"][0]["status"] == "waiting"
    approve = ("request", "approve", made["request_id"])
    waiting = await pao_approving.json("request", "list", "--waiting", "--as", "U4")
    assert [one["request_id"] for one in waiting["items"]] == [made["request_id"]]
    first = await pao_approving.json(*approve, "--as", "U4", "--reason", "fine")
    assert first["status"] == "submitted"
    assert http_server.received == []
    done = await pao_approving.json(*approve, "--as", "U5", "--wait")
    assert done["status"] == "completed"
    decisions = done["approvals"][0]["decisions"]
    assert [(one["approver"], one["reason"]) for one in decisions] == [("U4", "fine"), ("U5", None)]
    assert all(one["acted_as"].startswith("cli:") for one in decisions)


async def test_tables_say_what_a_request_waits_for_and_data_its_status(
    pao_approving: CommandLine,
) -> None:
    made = await pao_approving.json(*ORDER)
    await pao_approving.json(*ORDER, "--at", "2999-01-01T00:00:00Z")
    listed = (await pao_approving("request", "list")).out
    assert listed.count("waiting for approval") == 2
    shown = (await pao_approving("request", "get", made["request_id"])).out
    assert "waiting for approval" in shown
    items = (await pao_approving.json("request", "list"))["items"]
    assert [(one["status"], one["stands"]) for one in items] == [("submitted", "approval")] * 2
    assert items[0]["not_before"].startswith("2999-01-01")


async def test_a_rejection_needs_a_reason_and_ends_the_request(pao_approving: CommandLine) -> None:
    made = await pao_approving.json(*ORDER)
    reject = ("request", "reject", made["request_id"], "--as", "U4")
    assert (await pao_approving(*reject)).code == 2
    ended = await pao_approving.json(*reject, "--reason", "too dear")
    assert ended["status"] == "cancelled"
    assert "too dear" in ended["reason"]


async def test_who_was_not_named_decides_nothing(pao_approving: CommandLine) -> None:
    made = await pao_approving.json(*ORDER)
    for person in ("U1", "U7"):
        answer = await pao_approving("request", "approve", made["request_id"], "--as", person)
        assert answer.code == 1
    shown = await pao_approving.json("request", "get", made["request_id"])
    assert shown["approvals"][0]["decisions"] == []


async def test_a_waiting_command_says_whom_it_waits_for(pao_approving: CommandLine) -> None:
    waited = await pao_approving(*ORDER, "--wait", "--timeout", "3s", "--output", "json")
    assert (waited.code, waited.json["timed_out"]) == (1, True)
    assert "waiting for approval by U4, U5 (0 of 2 given)" in waited.err
    shown = await pao_approving("request", "get", waited.json["request_id"])
    assert "It waits for approval by U4, U5 (0 of 2 given)" in shown.err
    assert "user U4, user U5" in shown.out


async def test_a_dry_run_says_whose_approval_it_needs(pao_approving: CommandLine) -> None:
    planned = await pao_approving(*ORDER, "--dry-run")
    assert planned.code == 0, planned.err
    assert "It needs approval by U4, U5" in planned.out


async def test_an_approval_step_asks_for_its_fields_and_takes_no_secret_in_clear(
    pao_approving: CommandLine, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    fields = [{"name": "order", "type": "integer"}, {"name": "token", "type": "secret"}]
    ask = {
        "name": "finance",
        "type": "approval",
        "template": {"approvers": [{"user": "U4"}], "fields": fields},
    }
    body = {"order": "{{ steps.finance.outputs.order }}"}
    template = {"url": f"{http_server.url}/create", "body": body}
    book = {"name": "book", "type": "HttpPost", "template": template}
    await add_item(connection, "desk", fulfillment=automation([ask, book]))
    made = await pao_approving.json(
        "request", "submit", "--item", "desk", "--as", "U1", "--wait", "--timeout", "5s", code=1
    )
    approve = ("request", "approve", made["request_id"], "finance", "--as", "U4")
    error = await pao_approving.error(*approve, "--param", "order=7", "--param", "token=hush")
    assert error["field"] == "token"
    file = tmp_path / "token"
    file.write_text("hush\n")
    done = await pao_approving.json(
        *approve, "--param", "order=7", "--param", f"token=@{file}", "--wait"
    )
    assert done["status"] == "completed"
    assert http_server.requests("POST", "/create")[0].json() == {"order": 7}


async def test_destroying_asks_for_the_name(pao_approving: CommandLine) -> None:
    made = await pao_approving.json(*ORDER, "--name", "orders")
    abort = ("request", "abort", made["request_id"], "--destroy")
    wrong = await pao_approving.at_a_terminal("no", *abort)
    assert wrong.code == 1
    assert "destroyed" in wrong.err
    assert "Nothing was done" in wrong.err
    shown = await pao_approving.json("request", "get", made["request_id"])
    assert shown["status"] == "submitted"
