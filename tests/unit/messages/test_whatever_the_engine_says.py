"""Any request, service and Home that the engine may give is within Slack's limits, and shows foreign text as text."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.messages.card import card
from bot.messages.directs import DIRECTS, directs
from bot.messages.home import Mine, Operating, home
from bot.messages.lists import Query, services
from bot.messages.milestones import MILESTONES, milestone
from bot.messages.replies import blocks_for
from bot.messages.service import Service, service
from bot.messages.teams import Teams
from bot.messages.text import escaped
from bot.playground.limits import check_blocks, check_text, check_view
from engine import (
    ApprovalView,
    AttemptView,
    CatalogChange,
    CheckView,
    Decision,
    DependencyView,
    Event,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    MemberView,
    OperationView,
    Page,
    RequestSummary,
    RequestView,
    StepView,
    TicketView,
    TimelineEntry,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMPONENTS = ("database", "queue", "cache")
STATES = ("pending", "running", "verifying", "completed", "failed", "skipped", "retrying")
STATUSES = ("submitted", "validating", "in_progress", "completed", "failed", "aborted")
TYPES = ("create", "update", "upgrade", "decommission")

TEXTS = st.lists(
    st.builds(lambda text, times: text * times, st.text(max_size=8), st.sampled_from([1, 40, 900])),
    min_size=1,
    max_size=6,
)
"""What outsiders write: everything that a test shows is made of these, in turn."""

COUNTS = st.sampled_from([0, 1, 3, 12, 45])


class Said:
    """Makes what the engine gives out of texts; `count` things of each kind."""

    def __init__(self, texts: list[str], count: int) -> None:
        self._texts: Iterator[str] = cycle(texts)
        self._count = count

    @property
    def text(self) -> str:
        return next(self._texts)

    def values(self) -> dict[str, Any]:
        given = {f"{at} {self.text}": self.text for at in range(self._count)}
        return {
            **given,
            "list": [self.text, 1, None],
            "tree": {"a": [{"b": self.text}]},
            "no": None,
        }

    def steps(self) -> list[StepView]:
        failed = AttemptView(1, "failed", NOON, None, error_message=self.text)
        return [
            StepView(
                step_id=f"{COMPONENTS[at % 3]}/{at}" if at % 2 else f"step-{at}",
                name=self.text,
                type=("HttpPost", "manual", "approval")[at % 3],
                status=STATES[at % len(STATES)],
                depends_on=(),
                started_at=NOON,
                completed_at=NOON if at % 3 else None,
                outputs=None,
                attempts=(failed,) * (at % 3),
                tickets=(self.ticket(),) * (at % 2),
                next_run_at=NOON,
                skip_reason=self.text,
                waits_for_take_over=bool(at % 2),
            )
            for at in range(self._count)
        ]

    def ticket(self) -> TicketView:
        return TicketView(self.text, self.text, "fulfillment", self.text, self.text, self.text)

    def approvals(self) -> list[ApprovalView]:
        rules = [{"user": "U0ADA"}, {"team": self.text}, {"usergroup": self.text}] * self._count
        made = Decision(self.text, self.text, "approved", self.text, NOON, "cli")
        return [
            ApprovalView(
                step=(None, self.text)[at % 2],
                status=("waiting", "rejected", "expired", "withdrawn")[at % 4],
                approvers=rules,
                needed=at,
                decisions=[made] * self._count,
                expires_at=NOON,
                message=self.text,
            )
            for at in range(min(self._count, 8))
        ]

    def request(self, status: str, request_type: str, *, bundle: bool) -> RequestView:
        values = self.values()
        return RequestView(
            request_id="req-20261124-abcd",
            request_type=request_type,
            status=status,
            title=self.text,
            catalog_item=None,
            catalog_bundle=None,
            update_item=None,
            upgrade_item=None,
            catalog_version=self.text,
            parameters={**values, "components": {"database": values}} if bundle else values,
            requester="U0ADA",
            team=self.text,
            created_at=NOON,
            updated_at=NOON,
            completed_at=NOON,
            steps=self.steps(),
            instance_id="si-1",
            instance_name=self.text,
            outputs=values,
            tickets=[self.ticket()] * self._count,
            can_resume=status == "failed",
            can_abort=True,
            can_cancel=True,
            reason=self.text,
            not_before=NOON,
            secret_outputs=("password",),
            approvals=self.approvals(),
            checks=[CheckView(self.text, bool(at % 2), self.text, NOON) for at in range(7)],
            instance_usable=bundle,
            update_repeatable=not bundle,
            comparison={
                key: {"asked": value, "actual": self.text} for key, value in values.items()
            },
            components=COMPONENTS if bundle else (),
            owner="platform",
        )

    def instance(self, state: str) -> InstanceView:
        many = range(self._count)
        return InstanceView(
            instance_id="si-20261124-abcd",
            instance_name=self.text,
            instance_state=state,
            catalog_item=self.text,
            catalog_bundle=None,
            catalog_version=self.text,
            owner_user_id="U0ADA",
            owner_team=self.text,
            owner_email=None,
            deployment_parameters=self.values(),
            deployed_resources=(),
            service_outputs=self.values(),
            created_at=NOON,
            updated_at=NOON,
            provisioned_at=None,
            decommissioned_at=None,
            dependencies=[
                DependencyView(
                    ("provider", "dependent")[at % 2],
                    self.text,
                    self.text,
                    "active",
                    self.text,
                    self.text,
                    is_required=bool(at % 3),
                )
                for at in many
            ],
            creation_request_id="req-1",
            open_requests=[] if state == "active" else [self.text for _ in many],
            secret_outputs=("password",),
            members=[self.member() for _ in many],
            bundles=[self.member() for _ in many],
        )

    def member(self) -> MemberView:
        words = (self.text, self.text, "active", self.text, self.text, self.text, self.text)
        return MemberView(*words, is_required=False)

    def operations(self) -> list[OperationView]:
        return [
            OperationView(
                ("update", "upgrade")[at % 2], self.text, self.text, self.text, True, True,
                self.text, bool(at % 3), self.text,
            )
            for at in range(self._count)
        ]  # fmt: skip

    def history(self) -> list[HistoryEntry]:
        return [
            HistoryEntry(
                self.text,
                self.text,
                "minor",
                "req-1",
                self.text,
                NOON,
                5,
                "failed",
                True,
                self.text,
            )
            for _ in range(self._count)
        ]

    def timeline(self) -> list[TimelineEntry]:
        return [
            TimelineEntry(("instance.changed", self.text)[at % 2], NOON, {"to": self.text}, "req-1")
            for at in range(self._count)
        ]

    def summaries(self) -> list[RequestSummary]:
        return [
            RequestSummary(
                "req-1", "create", STATUSES[at % len(STATUSES)], self.text, self.text, self.text,
                "U0ADA", self.text, NOON, NOON, None, None, None,
            )
            for at in range(self._count)
        ]  # fmt: skip

    def listed(self) -> list[InstanceSummary]:
        return [
            InstanceSummary(
                "si-1", self.text, "active", self.text, self.text, "U0ADA", self.text, NOON, NOON,
                tuple(self.text for _ in range(5)),
            )
            for _ in range(min(self._count, 10))
        ]  # fmt: skip


@given(TEXTS, COUNTS, st.sampled_from(STATUSES), st.sampled_from(TYPES), st.booleans())
def test_slack_takes_the_card_of_any_request(
    texts: list[str], count: int, status: str, request_type: str, bundle: bool
) -> None:
    shown = card(Said(texts, count).request(status, request_type, bundle=bundle))

    check_blocks(shown.blocks)
    check_text(shown.text)


@given(st.sampled_from(sorted(MILESTONES)), TEXTS, COUNTS, st.sampled_from(TYPES))
def test_slack_takes_any_milestone(
    kind: str, texts: list[str], count: int, request_type: str
) -> None:
    said = Said(texts, count)
    view = said.request("failed", request_type, bundle=False)
    blocking = [{"instance_id": said.text, "instance_name": said.text, "owner_user_id": said.text}]
    words = ("reason", "by", "message", "check", "ticket_id", "estimated_duration", "error_message")
    data: dict[str, Any] = dict.fromkeys(words, said.text)
    data |= {"approvers": [{"team": said.text}, {"user": said.text}] * count, "step": None}
    data |= {"times": count, "given": count, "needed": count, "url": said.text}
    data |= {"can_decommission": False, "blocking_instances": blocking * count}
    told = milestone(Event(1, kind, NOON, data, view.request_id), view)

    if told is not None:
        teams = Teams({"platform": "S1"}, {said.text: frozenset({"U0ADA", said.text})})
        check_blocks(blocks_for(told, view, teams))


@given(TEXTS, COUNTS, st.sampled_from(["active", "degraded", "failed", "decommissioned"]))
def test_slack_takes_any_service(texts: list[str], count: int, state: str) -> None:
    said = Said(texts, count)
    found = Service(said.instance(state), said.operations(), said.history(), said.timeline())
    text, blocks = service(found)

    check_blocks(blocks)
    check_text(text)


@given(TEXTS, COUNTS, st.booleans())
def test_slack_takes_any_home(texts: list[str], count: int, is_admin: bool) -> None:
    said = Said(texts, count)
    change = CatalogChange(said.text, said.text, said.text, "added", said.text, said.text, NOON)
    last = {"status": said.text, "sync_completed_at": NOON, "error_message": said.text}
    operating = Operating({"database": None, "dispatcher": said.text}, last) if is_admin else None
    owned, under_way = Page(said.listed()), Page(said.summaries()[:10])

    check_view(home(Mine(owned, under_way, said.summaries(), [change] * 5, operating)), "home")
    check_blocks(services(owned, Query("services"))[1])


@given(st.sampled_from(sorted(DIRECTS)), TEXTS, COUNTS)
def test_slack_takes_any_message_to_people(kind: str, texts: list[str], count: int) -> None:
    said = Said(texts, count)
    many = [
        {
            "instance_id": f"si-{at}",
            "instance_name": said.text,
            "operation_name": said.text,
            "owner_user_id": "U0ADA",
        }
        for at in range(count)
    ]
    data = {"owner_user_id": "U0ADA", "operations": many, "dependents": many, "provider": said.text}

    for told in directs(Event(1, kind, NOON, data)):
        check_blocks(list(told.blocks))


MARKUP = re.compile(
    r"(?<![^\W_])([*_~])(?=\S)[^*_~\n]+?(?<=\S)\1(?![^\W_])"
    r"|`[^`\n]+`"
)
"""What Slack draws as bold, italic, struck or code, in the order of its own reading."""


@given(st.text("ab _*~`.,\n", max_size=60))
def test_no_foreign_text_is_drawn_as_markup(foreign: str) -> None:
    assert MARKUP.search(escaped(foreign, 1000)) is None


def test_what_is_no_markup_stays_as_it_is() -> None:
    for word in ("snake_case_name", "a*b", "1~2", "café", "x_1"):
        assert escaped(word, 100) == word


def test_a_finished_component_of_a_bundle_is_one_line() -> None:
    def step(step_id: str, status: str) -> StepView:
        ended = NOON + timedelta(minutes=2) if status == "completed" else None
        return StepView(step_id, step_id, "HttpPost", status, (), NOON, ended, None, (), ())

    steps = [
        step("database/create", "completed"),
        step("database/register", "completed"),
        step("queue/create", "running"),
        step("queue/register", "pending"),
    ]
    view = RequestView(
        "req-1", "create", "in_progress", "Shop", None, "shop", None, None, "1.0.0", {}, "U0ADA",
        None, NOON, NOON, None, steps, None, None, None, (), False, False, False,
        components=("database", "queue"),
    )  # fmt: skip
    told = str(card(view).blocks)

    assert ":white_check_mark: *database* · 2 steps · 2 min" in told
    assert "*register* · 2 min" not in told
    assert ":arrow_forward: *queue* · 0 of 2 steps" in told
    assert "↳ :arrow_forward: *create*" in told
