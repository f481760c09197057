"""One service whole: outputs, parameters, neighbours, members, what is due, what happened to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.messages.blocks import Block, Message, actions, button, context, section, table
from bot.messages.card import OUTPUTS, SECRETS, STATUS
from bot.messages.text import authored, code, escaped, mention, moment, one_line
from bot.messages.values import by_component, rows
from engine import (
    DependencyView,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    MemberView,
    OperationView,
    TimelineEntry,
)

UPDATE: Final = "service_update"
UPGRADE: Final = "service_upgrade"
DECOMMISSION: Final = "service_decommission"

SHOWN: Final = 10
"""Neighbours, members, operations and past events that are shown of each."""

INSTANCE_ICONS: Final[Mapping[str, str]] = {
    "provisioning": ":hourglass_flowing_sand:",
    "active": ":large_green_circle:",
    "updating": ":arrows_counterclockwise:",
    "degraded": ":large_orange_circle:",
    "failed": ":red_circle:",
    "decommissioning": ":hourglass:",
    "decommissioned": ":black_circle:",
}
LIVING: Final = frozenset({"active", "degraded"})
"""States in which an instance takes an update or an upgrade."""

GONE: Final = frozenset({"decommissioning", "decommissioned"})


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that is shown of an instance."""

    view: InstanceView
    operations: Sequence[OperationView] = ()
    history: Sequence[HistoryEntry] = ()
    """Newest first."""
    timeline: Sequence[TimelineEntry] = ()
    """Oldest first."""

    @property
    def due(self) -> list[OperationView]:
        """The operations that may be run now."""
        return [one for one in self.operations if one.eligible]


def service(found: Service) -> Message:
    """Return one service whole, with what can be done about it."""
    view = found.view
    item = view.catalog_item or view.catalog_bundle or "–"
    blocks = [
        section(service_heading(view, item)),
        context(
            f"{mention(view.owner_user_id)} · team *{escaped(view.owner_team, 100)}* · "
            f"since {moment(view.created_at)}"
        ),
        *_values("Outputs", _outputs(view)),
        *_values("Parameters", view.deployment_parameters),
        *_members(view.members),
        *_bundles(view.bundles),
        *_dependencies(view.dependencies),
        *_due(found.due),
        *_open_requests(view),
        *_past(found),
        *actions(*_buttons(found)),
    ]
    return f"{escaped(one_line(view.instance_name), 200)} is {view.instance_state}", blocks


def service_heading(one: InstanceSummary | InstanceView, item: str) -> str:
    """Return the first lines of a service: its state, its id, what it is."""
    icon = INSTANCE_ICONS.get(one.instance_state, ":grey_question:")
    stands = "has failed" if one.instance_state == "failed" else f"is {one.instance_state}"
    return (
        f"{icon} *{escaped(one_line(one.instance_name), 200)}* {stands}\n"
        f"{code(one.instance_id)} · {escaped(item, 200)} {escaped(one.catalog_version, 100)}"
    )


def _outputs(view: InstanceView) -> Mapping[str, object]:
    outputs = view.service_outputs
    return by_component(outputs) if view.catalog_bundle else outputs


def _values(title: str, values: Mapping[str, object]) -> Iterator[Block]:
    if values:
        yield section(f"*{title}*")
        yield from table(rows(values, OUTPUTS))


def _members(members: Sequence[MemberView]) -> Iterator[Block]:
    yield from _list("It consists of", [_member(one) for one in members])


def _bundles(bundles: Sequence[MemberView]) -> Iterator[Block]:
    told = [
        f"• *{escaped(one_line(one.instance_name), 150)}* {code(one.instance_id)}, "
        f"{one.instance_state}"
        for one in bundles
    ]
    yield from _list("It is part of", told)


def _member(one: MemberView) -> str:
    icon = INSTANCE_ICONS.get(one.instance_state, ":grey_question:")
    role = f" ({escaped(one.member_role, 100)})" if one.member_role else ""
    need = "" if one.is_required else ", optional"
    component = escaped(one.component_name or one.catalog_item, 100)
    return (
        f"{icon} *{component}*{role}: {escaped(one_line(one.instance_name), 150)} "
        f"{code(one.instance_id)}, {escaped(one.catalog_item, 100)} "
        f"{escaped(one.catalog_version, 50)}, {one.instance_state}{need}"
    )


def _dependencies(found: Sequence[DependencyView]) -> Iterator[Block]:
    for relationship, title in (("provider", "It uses"), ("dependent", "It is used by")):
        told = [_neighbour(one) for one in found if one.relationship == relationship]
        yield from _list(title, told)


def _neighbour(one: DependencyView) -> str:
    icon = INSTANCE_ICONS.get(one.instance_state, ":grey_question:")
    name = f" as {escaped(one.dependency_name, 100)}" if one.dependency_name else ""
    need = "" if one.is_required else ", optional"
    return (
        f"{icon} *{escaped(one_line(one.instance_name), 150)}* {code(one.instance_id)}{name}, "
        f"{one.instance_state}{need}"
    )


def _due(due: Sequence[OperationView]) -> Iterator[Block]:
    yield from _list("Due", [operation_line(one) for one in due])


def operation_line(one: OperationView) -> str:
    """Return one operation: what it is, and what it costs."""
    costs = [
        *([":warning: destructive"] if one.destructive else ()),
        *(["needs downtime"] if one.downtime_required else ()),
        *([f"about {escaped(one.estimated_duration, 50)}"] if one.estimated_duration else ()),
    ]
    said = f": {authored(one_line(one.description), 200)}" if one.description else ""
    return (
        f":sparkles: *{escaped(one.operation_name, 150)}* {escaped(one.operation_version, 50)} "
        f"({one.operation_type}{', ' if costs else ''}{', '.join(costs)}){said}"
    )


def _open_requests(view: InstanceView) -> Iterator[Block]:
    for request_id in view.open_requests[:5]:
        yield section(
            f"Under way: {code(request_id)}", accessory=button("Status", STATUS, request_id)
        )


def _past(found: Service) -> Iterator[Block]:
    yield from _list("Versions", [_change(one) for one in found.history], "`pao service history`")
    told = [_happened(one) for one in reversed(found.timeline)]
    yield from _list("What happened", told, "`pao service history`")


def _change(one: HistoryEntry) -> str:
    icon = ":white_check_mark:" if one.upgrade_status == "success" else ":x:"
    was = f"{escaped(one.from_version, 50)} → " if one.from_version else ""
    name = f" by {escaped(one.upgrade_item_name, 100)}" if one.upgrade_item_name else ""
    request = f" {code(one.upgrade_request_id)}" if one.upgrade_request_id else ""
    notes = f": {authored(one_line(one.upgrade_notes), 150)}" if one.upgrade_notes else ""
    back = ", can be rolled back" if one.rollback_available else ""
    return (
        f"{icon} {moment(one.upgraded_at)} {was}{escaped(one.to_version, 50)} ({one.upgrade_type})"
        f"{name}{request}, {escaped(one.upgrade_status.replace('_', ' '), 50)}{back}{notes}"
    )


def _happened(one: TimelineEntry) -> str:
    request = f" {code(one.request_id)}" if one.request_id else ""
    return f"• {moment(one.at)} {_in_words(one)}{request}"


def _in_words(one: TimelineEntry) -> str:
    """Return what happened: a state, a version, a neighbour, or the event's own words."""
    noun, _, verb = one.kind.partition(".")
    was, is_now = (escaped(str(one.data.get(key) or "–"), 50) for key in ("from", "to"))
    if one.kind == "instance.changed":
        return f"it is {is_now}"
    if one.kind == "instance.provider_degraded":
        return "the owners of what depends on it were told"
    if noun == "instance" and one.data.get("to"):
        outcome = escaped(str(one.data.get("status") or "").replace("_", " "), 30)
        versions = f", {was} → {is_now}" if was != is_now else ""
        return f"{escaped(verb, 50)} change{versions}, {outcome}"
    neighbour = one.data.get("dependent") or one.data.get("provider")
    about = f" {code(str(neighbour))}" if neighbour else ""
    return f"{escaped(noun, 50)} {escaped(verb.replace('_', ' '), 50)}{about}"


def _list(title: str, lines: Sequence[str], where: str = "`pao service get`") -> Iterator[Block]:
    if not lines:
        return
    more = len(lines) - SHOWN
    rest = [f"… and {more} more: {where}"] if more > 0 else []
    yield section("\n".join([f"*{title}*", *lines[:SHOWN], *rest]))


def _buttons(found: Service) -> Iterator[Block]:
    view = found.view
    if view.instance_state in LIVING:
        kinds = {one.operation_type for one in found.operations}
        if "update" in kinds:
            yield button("Update", UPDATE, view.instance_id)
        if "upgrade" in kinds:
            yield button("Upgrade", UPGRADE, view.instance_id)
    if view.instance_state not in GONE and not view.open_requests:
        yield button("Decommission", DECOMMISSION, view.instance_id, style="danger")
    if view.secret_outputs and view.creation_request_id:
        yield button("Show secrets", SECRETS, view.creation_request_id)
