"""A secret never stands in clear: not in any column of any table, not in a log line, not on disk.

Each test lets a canary go through the engine wherever a step, its verification or its ticket could
let it slip, and then looks through a dump of the whole database and through all that was logged, for
the canary as it is and in every form that encodings give it.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog

from engine import SECRET_DOTS, Submission, telemetry
from engine.steps.base import Completed, Resource, StepContext, Waiting
from engine.store.pool import Connection
from engine.verifications.base import Verdict
from tests.support.engines import ADMIN, ALICE, add_item, rows_of
from tests.support.workbench import Workbench, fail, step, step_of

CANARY = 'ca"nary/+<ä>&7f3e-secret'
FIELDS: list[dict[str, Any]] = [
    {"name": "password", "type": "secret", "required": True},
    {"name": "size", "type": "string", "default": "small"},
]
TEMPLATE = {"password": "{{ password }}"}


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """All that is logged, by us and by libraries, without the process's own redaction."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    telemetry.configure("json", "DEBUG", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def forms(secret: str) -> set[str]:
    """The secret as it is, and as encodings write it."""
    raw = secret.encode()
    once = json.dumps(secret)[1:-1]
    return {
        secret,
        once,
        json.dumps(once)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        repr(secret)[1:-1],
        "7f3e-secret",
        'ca"nary',
        'ca\\"nary',
    }


async def dump(connection: Connection) -> str:
    """Every row of every table of every schema of ours, as text."""
    tables = await rows_of(
        connection,
        "SELECT format('%%I.%%I', table_schema, table_name) FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE'"
        " AND table_schema NOT IN ('pg_catalog', 'information_schema')",
    )
    assert "public.step_attempts" in tables
    texts = []
    for table in tables:
        found = await rows_of(connection, f"SELECT t::text FROM {table} t")
        texts += [f"{table}: {row}" for row in found]
    return "\n".join(texts)


async def assert_nowhere(bench: Workbench, logged: io.StringIO, secret: str = CANARY) -> None:
    stored = await dump(bench.connection)
    for form in sorted(forms(secret)):
        assert form not in stored, next(line for line in stored.splitlines() if form in line)
        assert form not in logged.getvalue(), form
    left = [path for path in bench.config.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in left if secret.encode() in path.read_bytes()]


async def submitted(bench: Workbench, *steps: dict[str, Any], **more: Any) -> Any:
    return await bench.request(steps, fields=FIELDS, parameters={"password": CANARY}, **more)


async def test_nothing_that_a_step_says_keeps_a_secret(
    bench: Workbench, logged: io.StringIO
) -> None:
    async def talk(context: StepContext) -> Waiting:
        half = len(CANARY) // 2
        await context.log(f"password={CANARY[:half]}")
        await context.log(f"{CANARY[half:]}\n{json.dumps(CANARY)} {quote(CANARY, safe='')}\n")
        await context.tell("step.progress", {"text": f"set {CANARY}", CANARY: 1})
        await context.remember({"seen": CANARY})
        await context.remember_job(f"job {CANARY}", f"https://jobs/?token={quote(CANARY, safe='')}")
        return Waiting(0.0, {"location": f"https://jobs/{CANARY}"}, CANARY, f"https://x/{CANARY}")

    async def done(context: StepContext) -> Completed:
        assert context.external["location"] == f"https://jobs/{CANARY}"
        assert context.external["seen"] == CANARY
        return Completed(
            {"dsn": f"postgres://u:{CANARY}@h", "port": 1},
            resources=[Resource(f"password[{CANARY}]", "random_password", CANARY)],
            evidence={"body": CANARY},
        )

    long = "x" * 3990 + CANARY + "y" * 3990
    bench.script["a"] = [
        fail(f"it said {CANARY}", details={"body": long, "headers": {"x": CANARY}}),
        fail(long),
        talk,
        done,
    ]
    bench.verification.script = [
        Verdict(verified=False, expected="x", actual=f"still {CANARY}", again_in=0.01),
        Verdict(verified=True, expected=CANARY, actual=CANARY),
    ]
    one = step("a", template=TEMPLATE, verification={"type": "scripted"})
    view = await bench.run(await submitted(bench, one))
    assert view.status == "completed", view
    assert step_of(view, "a").outputs == {"dsn": SECRET_DOTS, "port": 1}
    secret = await bench.engine.secret_outputs(ALICE, view.request_id)
    assert secret == {"dsn": f"postgres://u:{CANARY}@h"}
    await assert_nowhere(bench, logged)


async def test_an_error_that_nobody_foresaw_tells_no_secret(
    bench: Workbench, logged: io.StringIO
) -> None:
    bench.script["a"] = [RuntimeError(f"cannot use {CANARY}")]
    await bench.run(await submitted(bench, step("a", template=TEMPLATE)))
    while await bench.outbox().work():
        pass
    assert "step_crashed" in logged.getvalue()
    await assert_nowhere(bench, logged)


@pytest.mark.parametrize(
    "broken",
    [
        {"template": {"n": "{{ password + 1 }}"}},
        {"template": {"n": "{{ 1 < password }}"}},
        {"when": "{{ password }}"},
        {"when": "{{ password < 1 }}"},
        {"verification": {"type": "scripted", "n": "{{ password < 1 }}"}},
    ],
    ids=str,
)
async def test_a_template_that_fails_to_render_tells_no_secret(
    bench: Workbench, logged: io.StringIO, broken: dict[str, Any]
) -> None:
    bench.script["a"] = [Completed({})]
    view = await bench.run(await submitted(bench, step("a", **broken)))
    assert view.status == "failed"
    await assert_nowhere(bench, logged)


async def test_a_secret_file_that_only_a_verification_reads_is_redacted(
    bench: Workbench, logged: io.StringIO
) -> None:
    directory = bench.config.data_dir / "secrets"
    directory.mkdir()
    (directory / "probe").write_text(CANARY)
    object.__setattr__(bench.around.secret_files, "_directory", directory)
    bench.script["a"] = [Completed({"dsn": CANARY}, evidence={"seen": CANARY})]
    bench.verification.script = [
        Verdict(verified=False, expected=CANARY, actual=CANARY, reason=f"no {CANARY}")
    ]
    verification = {"type": "scripted", "token": "{{ secrets.probe }}"}
    view = await bench.run(await bench.request([step("a", verification=verification)]))
    assert view.status == "failed"
    (directory / "probe").unlink()
    await assert_nowhere(bench, logged)


async def test_a_sensitive_output_is_redacted_from_what_judges_it(
    bench: Workbench, logged: io.StringIO
) -> None:
    result = Completed({"token": CANARY}, frozenset({"token"}), evidence={"body": CANARY})
    bench.script["a"] = [result]
    bench.verification.script = [
        Verdict(verified=False, expected="x", actual={"token": CANARY}, reason=f"got {CANARY}")
    ]
    await bench.run(await bench.request([step("a", verification={"type": "scripted"})]))
    await assert_nowhere(bench, logged)


async def test_a_ticket_is_told_no_secret(bench: Workbench, logged: io.StringIO) -> None:
    manual = {
        "system": "webhook",
        "template": {
            "url": "https://tickets.example.com/",
            "headers": {"Authorization": "Bearer {{ password }}"},
            "body": {"summary": "Needs {{ password }}", "note": "{{ password }}"},
        },
    }
    bench.script["a"] = [fail(f"no {CANARY}", kind="permanent")]
    automation = {"steps": [step("a", template=TEMPLATE)]}
    bench.tickets.down = True
    bench.tickets.complaint = f"401 for {CANARY}"
    await bench.run(
        await submitted(bench, fulfillment={"manual": manual, "automation": automation})
    )
    await bench.outbox().work()
    await assert_nowhere(bench, logged)
    bench.tickets.down = False
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")
    await bench.outbox().work()
    (draft,) = bench.tickets.made.values()
    assert draft.template["headers"] == {"Authorization": f"Bearer {CANARY}"}
    told = (draft.summary, draft.description, dict(draft.parameters), draft.template["body"])
    assert not [form for form in forms(CANARY) if form in json.dumps(told, ensure_ascii=False)]
    await assert_nowhere(bench, logged)


async def test_a_declared_sensitive_output_given_by_hand_is_kept_encrypted(
    bench: Workbench, logged: io.StringIO
) -> None:
    bench.script["a"] = [fail(kind="permanent"), Completed()]
    one = step("a", template=TEMPLATE, outputs=["dsn", "port"])
    view = await bench.run(await submitted(bench, one))
    outputs = {"dsn": f"postgres://u:{CANARY}@h", "port": "5432"}
    view = await bench.engine.resolve(ALICE, view.request_id, "a", outputs=outputs)
    view = await bench.ended(view)
    assert step_of(view, "a").outputs == {"dsn": SECRET_DOTS, "port": "5432"}
    assert await bench.engine.secret_outputs(ALICE, view.request_id) == {"dsn": outputs["dsn"]}
    await assert_nowhere(bench, logged)


async def test_a_refused_value_of_a_secret_field_is_not_repeated(
    bench: Workbench, logged: io.StringIO
) -> None:
    fields = [{"name": "password", "type": "secret", "min_length": 500}]
    await add_item(bench.connection, "database", fields=fields)
    for value in (CANARY, [CANARY], {"a": CANARY}):
        wanted = Submission({"password": value, CANARY: "x"}, item="database")
        errors = await bench.engine.check(ALICE, wanted)
        assert errors
        said = json.dumps([error.message for error in errors if error.field != CANARY])
        assert not [form for form in forms(CANARY) if form in said]
    await assert_nowhere(bench, logged)


async def test_reasons_of_people_are_redacted_by_the_request_they_are_about(
    bench: Workbench, logged: io.StringIO
) -> None:
    bench.script["a"] = [fail(kind="permanent")]
    view = await bench.run(await submitted(bench, step("a", template=TEMPLATE), step("b")))
    view = await bench.engine.skip(ADMIN, view.request_id, "a", f"password {CANARY} is wrong")
    await bench.run(view)
    await assert_nowhere(bench, logged)


@pytest.mark.parametrize("planted", [{"$secret": "x"}, {"$secret": 1}, {"$secret": ["a"]}], ids=str)
async def test_an_answer_that_looks_like_a_reference_is_data(
    bench: Workbench, planted: dict[str, Any]
) -> None:
    """Nobody's secret is read, and nothing breaks, by what an outside system answers."""
    bench.script["a"] = [Completed({"body": planted, "deep": [{"in": planted}]})]
    view = await bench.run(
        await bench.request([step("a"), step("b", template={"x": "{{ steps.a.outputs.body }}"})])
    )
    assert view.status == "completed"
    assert await bench.engine.secret_outputs(ALICE, view.request_id) == {}


async def test_a_reference_to_the_secret_of_somebody_else_gives_nothing(bench: Workbench) -> None:
    bench.script["a"] = [Completed()]
    await bench.run(await submitted(bench, step("a", template=TEMPLATE)))
    (theirs,) = await rows_of(bench.connection, "SELECT id::text FROM encrypted_values")
    planted = {"$secret": theirs}
    bench.script["a"] = [Completed({"body": planted})]
    view = await bench.run(
        await bench.request(
            [step("a"), step("b", template={"x": "{{ steps.a.outputs.body }}"})], item="other"
        )
    )
    assert await rows_of(bench.connection, "SELECT id::text FROM encrypted_values") == [theirs]
    told = [context.template for _, name, context in bench.steps.calls if name == "b"]
    assert len(told) == 1
    assert not [form for form in forms(CANARY) if form in json.dumps(told)]
    assert await bench.engine.secret_outputs(ALICE, view.request_id) == {}
