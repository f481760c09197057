"""The small modals: the picker, why to abort, what was done by hand."""

import json
from typing import Final

from bot.forms.elements import ACTION, external_select, option
from bot.messages import notices
from bot.messages.blocks import Block, modal, section
from bot.messages.text import code, escaped, plain
from engine import RequestView, StepView

PICKER: Final = "picker"
PICKED: Final = "picked_item"
ABORT_FORM: Final = "abort_form"
RESOLVE_FORM: Final = "resolve_form"
SKIP_FORM: Final = "skip_form"
REASON: Final = "reason"
CHOICES: Final = "choices"
DESTROY: Final = "destroy"
COMPLETION: Final = "completion"
HELD_BACK: Final = "held_back"
TERRAFORM: Final = "TerraformFile"
"""The type of the steps whose work an abort can have destroyed."""
OUTPUT: Final = "output:"
"""Prefix of the block ids that ask for outputs; the rest is the output's key."""
OUTPUTS: Final = 90


def picker(channel: str | None) -> Block:
    """Return the modal in which an item is looked for."""
    return modal(
        "Request a service",
        [
            {
                "type": "input",
                "block_id": PICKED,
                "label": plain("What do you need?"),
                "element": external_select(notices.CHOOSE_ITEM, action_id=PICKED),
            }
        ],
        callback_id=PICKER,
        submit=notices.NEXT,
        close=notices.CANCEL,
        private_metadata=channel or "",
    )


def abort_form(view: RequestView) -> Block:
    """Return the modal that asks why, and what to do with what exists."""
    by_terraform = any(step.type == TERRAFORM for step in view.steps)
    choices = [
        *([option("Destroy what Terraform made", DESTROY)] if by_terraform else ()),
        option("Make a ticket for what is left to do by hand", COMPLETION),
        option("Hold the clean-up back, to look into what happened", HELD_BACK),
    ]
    return modal(
        "Abort the request",
        [
            section(
                f"Running steps of {code(view.request_id)} are stopped, waiting ones are skipped, and a "
                "ticket lists what exists already."
            ),
            _why(),
            {
                "type": "input",
                "block_id": CHOICES,
                "label": plain("Also"),
                "optional": True,
                "element": {"type": "checkboxes", "action_id": ACTION, "options": choices},
            },
        ],
        callback_id=ABORT_FORM,
        submit="Abort",
        close="Go back",
        private_metadata=json.dumps({"request": view.request_id}),
    )


def skip_form(request_id: str, step: StepView) -> Block:
    """Return the modal that asks an admin why a step is left out."""
    return modal(
        "Skip a step",
        [
            section(
                f"The step *{escaped(step.full_name, 200)}* of {code(request_id)} is left out, and what "
                "depends on it goes on without its outputs."
            ),
            _why(),
        ],
        callback_id=SKIP_FORM,
        submit="Skip",
        close="Go back",
        private_metadata=json.dumps({"request": request_id, "step": step.step_id}),
    )


def resolve_form(request_id: str, step: StepView | None) -> Block:
    """Return the modal that asks for the outputs a step was to give, one field each."""
    what = f"the step *{escaped(step.full_name, 200)}* of " if step else ""
    asked = [_output(key) for key in (step.declared_outputs if step else ())[:OUTPUTS]]
    return modal(
        "Resolve by hand",
        [
            section(
                f"You say that {what}{code(request_id)} was done by hand. The request goes on "
                f"from there.{' Please enter what the step was to give:' if asked else ''}"
            ),
            *asked,
        ],
        callback_id=RESOLVE_FORM,
        submit="Resolve",
        close="Go back",
        private_metadata=json.dumps(
            {"request": request_id, "step": step.step_id if step else None}
        ),
    )


def _why() -> Block:
    return {
        "type": "input",
        "block_id": REASON,
        "label": plain("Why?"),
        "element": {
            "type": "plain_text_input",
            "action_id": ACTION,
            "multiline": True,
            "max_length": 1000,
        },
    }


def _output(key: str) -> Block:
    return {
        "type": "input",
        "block_id": f"{OUTPUT}{key}",
        "label": plain(key),
        "element": {"type": "plain_text_input", "action_id": ACTION},
    }
