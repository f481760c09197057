"""Templates rendered before everything that they name is known."""

from __future__ import annotations

import pytest

from engine.errors import TemplateError
from engine.execution.unknowns import Unknowns
from engine.templates import check_template

NETWORK = Unknowns({("steps", "network", "outputs"): ()})
NAMES = {"size": 3, "steps": {"network": {"outputs": None}, "disk": {"outputs": {"id": "d1"}}}}


@pytest.mark.parametrize(
    "text",
    [
        "{{ steps.network.outputs.id }}",
        "{{ steps['network'].outputs.id | default('none') }}",
        "{{ steps.network.outputs }}",
        "{{ steps.network }}",
        "{{ steps[size].outputs.id }}",
        "{{ 'a' if true else steps.network.outputs.id }}",
    ],
)
def test_what_may_need_the_outputs_of_a_step_waits(text: str) -> None:
    assert NETWORK.needed_by(check_template(text))


@pytest.mark.parametrize("text", ["{{ size }}", "{{ steps.disk.outputs.id }}", "steps.network"])
def test_what_names_others_does_not_wait(text: str) -> None:
    assert NETWORK.needed_by(check_template(text)) == ()


def test_a_tree_is_rendered_as_far_as_it_can_be() -> None:
    tree = {
        "size": "{{ size }}",
        "body": {"net": "{{ steps.network.outputs.id }}", "disks": ["{{ steps.disk.outputs.id }}"]},
        "again": "net-{{ steps.network.outputs.id }}",
    }

    rendered = NETWORK.render(tree, NAMES)

    assert rendered.shown == {**tree, "size": 3, "body": {**tree["body"], "disks": ["d1"]}}
    assert rendered.waits_for == ("steps.network.outputs.id",)
    assert rendered.late == {"body", "again"}


def test_an_unknown_name_beside_one_that_waits_is_an_error_at_its_place() -> None:
    tree = {"a": "{{ steps.network.outputs.id }}", "b": {"c": "{{ sise }}"}}
    with pytest.raises(TemplateError, match="no 'sise'") as failure:
        NETWORK.render(tree, NAMES)
    assert failure.value.field == "b.c"


def test_a_name_that_waits_for_others_says_for_which() -> None:
    unknowns = Unknowns({("subnet",): ("components.net.outputs.subnet",)})
    assert unknowns.needed_by(check_template("{{ subnet }}-{{ subnets }}")) == (
        "components.net.outputs.subnet",
    )
