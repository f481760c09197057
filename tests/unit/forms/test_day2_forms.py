"""Modals around running services: what may be done and why not, what it costs, the name to confirm."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.forms.day2 import Choice, decommission_check, decommission_form, operations_picker
from bot.forms.form import Filled, Form, form_of, untouched
from bot.forms.meta import Meta
from bot.forms.pages import draw
from bot.forms.places import CONFIRMATION_BLOCK
from bot.forms.reading import read_view
from bot.forms.submitting import submission
from bot.messages import asking
from bot.playground.limits import check_message, check_view
from engine import (
    DecommissionCheck,
    InstanceView,
    OperationForm,
    OperationView,
)
from tests.support.forms import ADA, details, labels, texts, view_of

Json = Any
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = st.text(min_size=1, max_size=400)


def instance(**changes: Json) -> InstanceView:
    whole: dict[str, Json] = {
        "instance_id": "si-20260101-abcdefgh",
        "instance_name": "orders-db",
        "instance_state": "active",
        "catalog_item": "postgres-database",
        "catalog_bundle": None,
        "catalog_version": "1.4.0",
        "owner_user_id": "U0ADA",
        "owner_team": "platform",
        "owner_email": None,
        "deployment_parameters": {"size": "small", "password": "••••••••"},
        "deployed_resources": [],
        "service_outputs": {},
        "created_at": NOW,
        "updated_at": NOW,
        "provisioned_at": NOW,
        "decommissioned_at": None,
    }
    return InstanceView(**whole | changes)


def operation(name: str = "postgres-2", **changes: Json) -> OperationView:
    whole: dict[str, Json] = {
        "operation_type": "upgrade",
        "operation_name": name,
        "operation_version": "2.0.0",
        "description": "To PostgreSQL 17",
        "destructive": False,
        "downtime_required": False,
        "estimated_duration": None,
        "eligible": True,
        "reason": None,
    }
    return OperationView(**whole | changes)


SIZE = {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
PASSWORD = {"name": "password", "type": "secret", "required": True, "min_length": 8}
TOKEN = {"name": "token", "type": "secret", "required": True}


def operation_form(**changes: Json) -> Form:
    """The form of an upgrade as the handlers make it."""
    found = OperationForm(
        instance(),
        operation(destructive=True, downtime_required=True, estimated_duration="10m"),
        details({"fields": [SIZE, PASSWORD, TOKEN]}, kind="UpgradeItem", name="postgres-2"),
        {"size": "large"},
        prerequisites=("A backup of today",),
        notes="In place",
        to_version="2.0.0",
    )
    form = form_of(found.details, ADA)
    return replace(
        form,
        purpose="upgrade",
        about="si-20260101-abcdefgh",
        own=replace(form.own, kept=frozenset({"password"})),
        notes=tuple(asking.about_operation(found)),
        given=found.values,
        confirmed_by="orders-db",
        **changes,
    )


def test_the_form_of_an_upgrade_says_what_it_costs_and_needs_and_asks_the_name() -> None:
    form = operation_form()
    view = view_of(form, untouched(form, ADA))
    told = texts(view)

    assert "destroys or replaces resources" in told
    assert "the service is down meanwhile" in told
    assert "takes about 10m" in told
    assert "A backup of today" in told
    assert "In place" in told
    assert "`1.4.0` → `2.0.0`" in told
    assert labels(view) == ["Size", "Password", "Token", asking.CONFIRM]
    assert view["state"]["values"]["field:size"]["field"]["selected_option"]["value"] == "large"


def test_a_secret_of_the_instance_may_be_left_empty_and_is_left_out_then() -> None:
    form = operation_form()
    view = view_of(form, untouched(form, ADA))
    blocks = {block["block_id"]: block for block in view["blocks"]}
    assert blocks["field:password"]["optional"] is True
    assert blocks["field:token"]["optional"] is False
    view["state"]["values"][CONFIRMATION_BLOCK]["field"]["value"] = "orders-db"

    filled = read_view(form, view, untouched(form, ADA))
    wanted = submission(form, filled, idempotency_key=None, origin_channel=None)

    assert wanted.request_type == "upgrade"
    assert wanted.item == "postgres-2"
    assert wanted.instance == "si-20260101-abcdefgh"
    assert wanted.confirmation == "orders-db"
    assert wanted.parameters == {"size": "large", "token": None}


def test_the_last_button_says_what_it_does() -> None:
    form = operation_form()
    view = draw(form, Filled(), Meta.of(form))

    assert view["submit"]["text"] == "Upgrade"


def test_the_picker_offers_what_is_eligible_and_says_why_the_rest_is_not() -> None:
    path = [operation("postgres-2"), operation("postgres-3", operation_version="3.0.0")]
    found = [operation(), operation("postgres-3", eligible=False, reason="1.4.0 is outside >=2")]
    view = operations_picker(instance(), found, [path], "C1")
    check_view(view, "modal")
    told = texts(view)

    [offer] = [block["accessory"] for block in view["blocks"] if "accessory" in block]
    assert Choice.unpacked(offer["value"]) == Choice(
        "si-20260101-abcdefgh", "upgrade", "postgres-2", "C1"
    )
    assert "postgres-3 2.0.0: 1.4.0 is outside &gt;=2" in told
    assert "`postgres-2 2.0.0` → `postgres-3 3.0.0`" in told


def test_nothing_to_do_is_said() -> None:
    assert "no updates or upgrades" in texts(operations_picker(instance(), [], [], None))


def test_a_blocked_decommission_names_who_needs_it_and_whom_to_ask() -> None:
    blocker = {
        "instance_id": "si-2",
        "instance_name": "shop",
        "owner_user_id": "U0BOB",
        "owner_team": "payments",
        "needs": "si-20260101-abcdefgh",
    }
    check = DecommissionCheck(False, "1 service needs it", [blocker])
    told = texts({"blocks": decommission_check(instance(), check)[1]})

    assert "cannot be decommissioned: 1 service needs it." in told
    assert "*shop* `si-2` · <@U0BOB>, team *payments*" in told


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda name, words, eligible, heavy: operation(
                name, description=words, eligible=eligible, reason=words, destructive=heavy
            ),
            st.text(min_size=1, max_size=255),
            LONG,
            st.booleans(),
            st.booleans(),
        ),
        max_size=130,
    ),
    LONG,
)
def test_slack_takes_every_picker(operations: list[OperationView], name: str) -> None:
    view = operations_picker(instance(instance_name=name), operations, [operations], "C1")

    check_view(view, "modal")


@settings(max_examples=50, deadline=None)
@given(LONG, LONG, st.lists(LONG, max_size=20), LONG)
def test_slack_takes_every_operation_and_every_end(
    name: str, words: str, prerequisites: list[str], typed: str
) -> None:
    target = instance(instance_name=name[:255])
    found = OperationForm(
        target,
        operation(words[:255], destructive=True, estimated_duration=words[:50]),
        details({"fields": [SIZE]}, kind="UpdateItem", display_name=words),
        {},
        prerequisites=prerequisites,
        notes=words * 20,
        to_version="2.0.0",
    )
    form = replace(
        form_of(found.details, ADA),
        purpose="update",
        about=target.instance_id,
        notes=tuple(asking.about_operation(found)),
        confirmed_by=target.instance_name,
    )
    view_of(form, Filled(confirmation=typed))
    check_view(decommission_form(target, "C1"), "modal")
    blockers = [
        {"instance_id": "si-2", "instance_name": words, "owner_user_id": name, "owner_team": words}
    ] * 40
    for check in (DecommissionCheck(False, words, blockers), DecommissionCheck(True, None, [])):
        text, blocks = decommission_check(target, check)
        check_message({"text": text, "blocks": blocks})
