"""The modals around running services: what can be done to one, and its end."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

from bot.forms.elements import ACTION
from bot.forms.places import CONFIRMATION_BLOCK
from bot.messages import asking, notices
from bot.messages.blocks import Block, actions, button, context, divider, modal, paragraphs, section
from bot.messages.text import LABEL, plain
from engine import DecommissionCheck, InstanceView, OperationView

OPERATIONS: Final = "operations"
OPERATION: Final = "operation_form"
"""action_id of the buttons that open an operation's form."""
DECOMMISSION_FORM: Final = "decommission_form"
CONFIRM_DECOMMISSION: Final = "decommission_confirm"
"""action_id of the button under a check that found nothing in the way."""

SHOWN: Final = 40
"""Operations of a kind that one modal lists; Slack takes a hundred blocks."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a button of the picker stands for; goes into its value."""

    instance_id: str
    request_type: Literal["update", "upgrade"]
    name: str
    channel: str | None = None

    def packed(self) -> str:
        """Return it as text, under Slack's 2000 characters."""
        return json.dumps({k: v for k, v in asdict(self).items() if v}, ensure_ascii=False)

    @classmethod
    def unpacked(cls, text: str) -> "Choice":
        """Read it back; ValueError where the button is of another release."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError("the button is of another release") from error


def operations_picker(
    instance: InstanceView,
    operations: Sequence[OperationView],
    paths: Sequence[Sequence[OperationView]],
    channel: str | None,
) -> Block:
    """Return the modal that lists what can be done to an instance, and why the rest cannot."""
    eligible = [one for one in operations if one.eligible]
    others = [one for one in operations if not one.eligible]
    words = asking.CHOOSE_OPERATION if operations else asking.NO_OPERATIONS
    blocks = [
        section(asking.operations_of(instance, words)),
        *(_offer(instance, one, channel) for one in eligible[:SHOWN]),
        *(context(asking.path_of(path)) for path in paths[:5] if len(path) > 1),
        *([divider()] if others else ()),
        *_lines([asking.ineligible(one) for one in others]),
    ]
    if len(eligible) > SHOWN:
        blocks.append(context(asking.and_more(len(eligible) - SHOWN)))
    return modal("Updates and upgrades", blocks, callback_id=OPERATIONS, close=notices.CLOSE)


def decommission_form(instance: InstanceView, channel: str | None) -> Block:
    """Return the modal in which a service's end is confirmed by its name."""
    return modal(
        "Decommission",
        [
            section(asking.decommission_warning(instance)),
            {
                "type": "input",
                "block_id": CONFIRMATION_BLOCK,
                "label": plain(asking.CONFIRM),
                "hint": plain(asking.confirm_hint(instance.instance_name), LABEL),
                "element": {"type": "plain_text_input", "action_id": ACTION},
            },
        ],
        callback_id=DECOMMISSION_FORM,
        submit="Decommission",
        close=notices.CANCEL,
        private_metadata=json.dumps({"instance": instance.instance_id, "channel": channel}),
    )


def decommission_check(instance: InstanceView, check: DecommissionCheck) -> tuple[str, list[Block]]:
    """Return what the check found: blocked by whom, or free to go with the way to the confirmation."""
    if not check.can_decommission:
        told = asking.blocked(instance, check)
        return told[0], list(_lines(told))
    words = asking.free_to_go(instance)
    go_on = button("Decommission", CONFIRM_DECOMMISSION, instance.instance_id, style="danger")
    return words, [section(words), *actions(go_on)]


def _offer(instance: InstanceView, one: OperationView, channel: str | None) -> Block:
    request_type: Literal["update", "upgrade"] = (
        "upgrade" if one.operation_type == "upgrade" else "update"
    )
    choice = Choice(instance.instance_id, request_type, one.operation_name, channel)
    heavy = one.destructive or one.downtime_required
    return section(
        asking.eligible(one),
        accessory=button(
            request_type.capitalize(),
            OPERATION,
            choice.packed(),
            style="danger" if heavy else "primary",
        ),
    )


def _lines(told: Sequence[str]) -> Iterator[Block]:
    yield from paragraphs(told[:SHOWN])
    if len(told) > SHOWN:
        yield context(asking.and_more(len(told) - SHOWN))
