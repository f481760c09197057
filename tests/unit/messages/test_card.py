"""The status card: whatever a request holds, Slack takes it and people can read it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.forms import modals
from bot.messages import lists
from bot.messages.card import card, standing
from bot.messages.decisions import answered
from bot.messages.milestones import MILESTONES, milestone
from bot.messages.replies import markup_for
from bot.messages.steps import step_line
from bot.messages.text import mrkdwn
from bot.playground.limits import check_blocks, check_text
from engine import (
    SECRET_DOTS,
    ApprovalView,
    AttemptView,
    Event,
    Page,
    Question,
    RequestSummary,
    RequestView,
    StepView,
    TicketView,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def step(name: str = "create", status: str = "completed", **changes: Any) -> StepView:
    blank = StepView(
        step_id=name,
        name=name,
        type="HttpPost",
        status=status,
        depends_on=(),
        started_at=NOON,
        completed_at=NOON + timedelta(seconds=4) if status == "completed" else None,
        outputs=None,
        attempts=(),
        tickets=(),
    )
    return replace(blank, **changes)


def attempt(number: int = 1, **changes: Any) -> AttemptView:
    return replace(AttemptView(number, "failed", NOON, None), **changes)


def request(*steps: StepView, status: str = "in_progress", **changes: Any) -> RequestView:
    blank = RequestView(
        request_id="req-20261124-abcd",
        request_type="create",
        status=status,
        title="PostgreSQL database: orders",
        catalog_item="postgres-database",
        catalog_bundle=None,
        update_item=None,
        upgrade_item=None,
        catalog_version="1.2.0",
        parameters={"size": "small", "password": SECRET_DOTS},
        requester="U0ADA",
        team="platform",
        created_at=NOON,
        updated_at=NOON,
        completed_at=NOON + timedelta(minutes=2) if status == "completed" else None,
        steps=steps,
        instance_id="si-1",
        instance_name="orders",
        outputs=None,
        tickets=(),
        can_resume=False,
        can_abort=False,
        can_cancel=False,
    )
    return replace(blank, **changes)


def words(view: RequestView) -> str:
    shown = card(view)
    check_blocks(shown.blocks)
    check_text(shown.text)
    return str(shown.blocks)


def labels(view: RequestView) -> list[str]:
    return [
        element["text"]["text"]
        for block in card(view).blocks
        if block["type"] == "actions"
        for element in block["elements"]
    ]


def test_it_tells_who_what_and_how_far() -> None:
    told = words(request(step("network"), step("database", "running")))

    assert "PostgreSQL database: orders" in told
    assert "<@U0ADA>" in told
    assert "▰▰▰▰▰▱▱▱▱▱  1 of 2 steps" in told
    assert ":white_check_mark: *network* · 4 s" in told
    assert SECRET_DOTS in told


def test_a_step_that_is_tried_again_says_when() -> None:
    line = step_line(
        step(
            status="retrying",
            attempts=(attempt(1), attempt(2, error_message="503 from\nthe cloud")),
            next_run_at=NOON + timedelta(seconds=30),
        )
    )

    assert line.startswith(":repeat: *create* · next try <!date^")
    assert "attempt 2" in line
    assert "503 from the cloud" in line


def test_a_job_outside_is_linked() -> None:
    running = step(status="running", attempts=(attempt(external_job_url="https://ci.example/1"),))

    assert "<https://ci.example/1|job>" in step_line(running)


@pytest.mark.parametrize(
    ("view", "offered"),
    [
        (request(step(status="running"), can_abort=True), ["Abort", "Service"]),
        (request(status="submitted", can_cancel=True), ["Cancel", "Service"]),
        (
            request(step(status="failed"), status="failed", can_resume=True, can_abort=True),
            [
                "Resume",
                "Resume with changes",
                "Retry create",
                "Resolve create",
                "Skip create",
                "Log",
                "Abort",
                "Service",
            ],
        ),
        (
            request(tickets=(TicketView("OPS-1", "webhook", "fulfillment", "open"),)),
            ["Resolve", "Service"],
        ),
        (
            request(status="completed", secret_outputs=("password",)),
            ["Show secrets", "Service"],
        ),
        (request(status="cancelled", instance_id=None), []),
    ],
)
def test_only_the_buttons_that_apply_are_there(view: RequestView, offered: list[str]) -> None:
    assert labels(view) == offered


def test_a_ticket_is_linked_and_one_that_is_being_made_says_so() -> None:
    made = TicketView("OPS-1", "webhook", "fulfillment", "in_progress", "https://t.example/1")
    coming = TicketView(None, "webhook", "fulfillment", "creating", last_error="no answer")
    told = words(request(step(status="failed", tickets=(made, coming)), status="failed"))

    assert "ticket <https://t.example/1|OPS-1> is in progress" in told
    assert "a ticket is being made (webhook): no answer" in told


def test_parameters_are_called_as_in_the_form() -> None:
    told = words(request(parameter_labels={"size": "How large?"}))

    assert "*How large?*" in told
    assert "*size*" not in told
    assert "*password*" in told


def test_what_a_failure_kept_from_running_is_not_counted_as_done() -> None:
    told = words(
        request(
            step("one"),
            step("two", "failed"),
            step("three", "skipped", skip_reason="dependency"),
            step("four", "skipped", skip_reason="condition"),
            status="failed",
        )
    )

    assert "2 of 4 steps" in told


def test_a_failed_step_tells_what_the_other_side_said() -> None:
    details = {"status": 403, "body": '{"error": "the quota is used up"}'}
    data = {"error_message": "the cloud answered 403 Forbidden", "details": details}
    event = Event(1, "step.failed", NOON, data, "req-1", "create")

    told = milestone(event, request(step(status="failed"), status="failed"))

    assert told is not None
    assert "answered 403 Forbidden" in told.markup
    assert "the quota is used up" in told.markup


def test_the_same_request_has_the_same_hash_and_a_changed_one_another() -> None:
    before = request(step(status="running"))

    assert card(before).hash == card(request(step(status="running"))).hash
    assert card(before).hash != card(request(step())).hash


def test_a_hundred_steps_fit() -> None:
    many = [step(f"step-{n}-{'x' * 180}", "pending") for n in range(300)]

    assert "and 260 more steps" in words(request(*many))


def test_what_is_done_is_folded_where_it_would_hide_the_rest() -> None:
    done = [step(f"done-{n}") for n in range(60)]
    told = words(request(*done, step("late", "running")))

    assert "60 steps done" in told
    assert "*late*" in told
    assert "done-7" not in told


ANYTHING = st.text(max_size=4000)


@given(ANYTHING, st.dictionaries(ANYTHING, ANYTHING | st.integers() | st.none(), max_size=30))
def test_slack_takes_the_card_of_any_request(text: str, values: dict[str, Any]) -> None:
    failed = step(text or "x", "failed", attempts=(attempt(error_message=text),))
    view = request(
        failed,
        step(),
        status="failed",
        can_resume=True,
        title=text,
        parameters=values,
        reason=text,
        team=text,
        tickets=(TicketView(text, text, "fulfillment", text, text, text),),
    )

    words(view)
    words(replace(view, status="completed", outputs=values, completed_at=NOON))


@given(st.sampled_from(sorted(MILESTONES)), ANYTHING)
def test_slack_takes_every_milestone(kind: str, text: str) -> None:
    keys = ("error_message", "reason", "step", "summary", "ticket_id", "url", "system", "check")
    event = Event(1, kind, NOON, dict.fromkeys(keys, text), "req-1", "create")
    view = request(step(), status="completed", outputs={text: text}, title=text)

    told = milestone(event, view)

    assert told is not None
    check_blocks([{"type": "section", "text": mrkdwn(markup_for(told, view))}])


def test_a_step_of_a_bundle_is_named_with_its_component() -> None:
    failed = step("infrastructure", "failed", step_id="database/infrastructure")
    view = request(failed, status="failed", can_resume=True)
    assert "Retry database/infrastructure" in str(card(view).blocks)
    planned = Event(1, "step.plan", NOON, {"add": 1}, view.request_id, failed.step_id)
    told = milestone(planned, view)
    assert told is not None
    assert "database/infrastructure" in told.markup


def test_more_outputs_than_a_thread_shows_are_counted() -> None:
    view = request(step(), status="completed", outputs={f"key_{at}": at for at in range(20)})
    told = milestone(Event(1, "request.completed", NOON, {}, view.request_id), view)
    assert told is not None
    assert told.markup.endswith("• *key_14*: `14`\n… and 5 more")


def test_what_is_to_begin_later_is_scheduled_until_it_begins() -> None:
    later = NOON + timedelta(days=1)
    waiting = request(step(status="pending"), not_before=later, stands="scheduled")
    assert "is scheduled" in str(card(waiting).blocks)
    begun = request(step(status="running"), not_before=later)
    assert "is in progress" in str(card(begun).blocks)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "submitted"}, "is submitted"),
        ({"status": "submitted", "stands": "approval"}, "is waiting for approval"),
        ({"stands": "scheduled", "not_before": NOON}, "starts <!date^"),
        ({"not_before": NOON}, "is in progress"),
    ],
)
def test_lists_say_how_a_request_stands_in_the_words_of_its_card(
    changes: dict[str, Any], told: str
) -> None:
    summary = RequestSummary(
        request_id="req-20261124-abcd",
        request_type="create",
        title="PostgreSQL database: orders",
        catalog_name="postgres-database",
        catalog_version="1.2.0",
        requester="U0ADA",
        team="platform",
        created_at=NOON,
        updated_at=NOON,
        completed_at=None,
        instance_id=None,
        instance_name=None,
        **{"status": "in_progress", **changes},
    )
    _, blocks = lists.requests(Page([summary]), lists.Query("requests"))
    assert told in str(blocks)
    assert standing(summary) == standing(request(**changes))


def test_a_ticket_says_on_the_card_only_what_the_card_does_not() -> None:
    again = TicketView(
        "OPS-1", "jira", "fallback", "open", summary="Please make orders (req-20261124-abcd)"
    )
    assert "Please make" not in str(card(request(step(), tickets=(again,))).blocks)
    other = replace(again, summary="Clean up the bucket")
    assert "Clean up the bucket" in str(card(request(step(), tickets=(other,))).blocks)


@pytest.mark.parametrize(("kind", "offered"), [("HttpPost", False), ("TerraformFile", True)])
def test_an_abort_offers_to_destroy_only_what_terraform_made(kind: str, offered: bool) -> None:
    form = modals.abort_form(request(step(type=kind), status="failed"))
    assert ("Destroy what Terraform made" in str(form)) is offered


def test_a_question_waits_for_the_approval_that_is_due_and_says_how_the_last_one_ended() -> None:
    asked = Question("C0OPS", "1.1", None, ":raised_hand: asks for your approval", is_direct=False)
    first = ApprovalView(None, "withdrawn", [{"team": "platform"}], 1, ())
    again = replace(first, status="waiting")
    assert answered(asked, request(approvals=(first, again))) is None
    assert "not needed any more" in str(answered(asked, request(approvals=(first,))))
    assert "not asked any more" in str(answered(asked, request()))


def test_a_ticket_that_is_done_and_not_enough_asks_the_requester_for_the_rest() -> None:
    said = {"text": "The ticket is done, but outputs are needed: url", "ticket_id": "OPS-1"}
    event = Event(1, "step.progress", NOON, said, "req-1", "create")
    told = milestone(event, request(step(), status="failed"))
    assert told is not None
    assert "outputs are needed: url" in told.markup
    assert told.for_requester
    assert [one["text"]["text"] for one in told.buttons] == ["Resolve"]
