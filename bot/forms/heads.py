"""What a form says and asks before the first field: notes, name, team, connections, optional items."""

from collections.abc import Iterator, Sequence
from typing import Final

from bot.forms.elements import ACTION, CHECKBOXES, external_select, multi_select, option, option_key
from bot.forms.form import NAME_LENGTH, Filled, Form, enabled
from bot.forms.parts import Asked, Part, qualified
from bot.forms.places import CHOICE_BLOCK, NAME_BLOCK, TEAM_BLOCK, dependency_place
from bot.messages import asking, notices
from bot.messages.blocks import Block, context, section
from bot.messages.text import LABEL, authored, plain

TEAMS: Final = 100
CHOICES: Final = 100
"""Optional items that one may choose among; Slack takes no longer menu."""


def head(form: Form, filled: Filled) -> Iterator[Block]:
    """Yield the blocks before the first field."""
    if form.description:
        yield context(authored(form.description, 1000))
    if form.deprecated:
        yield section(notices.deprecated(form.title, form.replaced_by))
    yield from (section(note) for note in form.notes)
    if form.is_new:
        yield _name_block(form, filled.instance_name)
        if form.teams:
            yield _team_block(form.teams, filled.team)
    for asked in form.own.dependencies:
        yield dependency_block(form.own, asked, filled)
    if form.is_new and form.components:
        yield context(asking.consists_of(*_titles(form)))
        yield from _choice_block(form, filled)


def head_size(form: Form) -> int:
    """Return how many blocks the head has at most."""
    return 6 + len(form.own.dependencies) + len(form.notes)


def choosable(form: Form) -> dict[str, str]:
    """Return the components that one may choose: the value of each one's option, and its key."""
    chosen = [part for part in form.components if part.switch and part.switch.is_chosen]
    return {option_key(part.key, at): part.key for at, part in enumerate(chosen[:CHOICES])}


def _titles(form: Form) -> tuple[list[str], list[str]]:
    """Return what a bundle always holds, and what answers decide."""
    always = [part.title for part in form.components if part.switch and part.switch.always]
    decided = [part.title for part in form.components if part.switch and part.switch.condition]
    return always, decided


def _choice_block(form: Form, filled: Filled) -> Iterator[Block]:
    by_key = {part.key: part for part in form.components}
    offered = [_choice(by_key[key], value) for value, key in choosable(form).items()]
    if not offered:
        return
    on = enabled(form, filled)
    chosen = [one for one, key in zip(offered, choosable(form).values(), strict=True) if key in on]
    if len(offered) <= CHECKBOXES:
        element: Block = {"type": "checkboxes", "action_id": ACTION, "options": offered}
        if chosen:
            element["initial_options"] = chosen
    else:
        element = multi_select(asking.CHOOSE_ITEMS, offered, chosen)
    yield {
        "type": "input",
        "block_id": CHOICE_BLOCK,
        "label": plain(asking.OPTIONAL_ITEMS),
        "element": element,
        "optional": True,
        "dispatch_action": True,
    }


def _choice(part: Part, value: str) -> Block:
    return option(part.title, value, part.switch.about if part.switch else None)


def _name_block(form: Form, value: str | None) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": ACTION, "max_length": NAME_LENGTH}
    if value:
        element["initial_value"] = value[:NAME_LENGTH]
    return {
        "type": "input",
        "block_id": NAME_BLOCK,
        "label": plain(notices.INSTANCE_NAME),
        "hint": plain(notices.instance_name_hint(form.title), LABEL),
        "element": element,
        "optional": True,
    }


def _team_block(teams: Sequence[str], value: str | None) -> Block:
    if len(teams) == 1:
        return context(notices.team_is(teams[0]))
    choices = [option(team, team) for team in teams[:TEAMS]]
    element: Block = {
        "type": "static_select",
        "action_id": ACTION,
        "placeholder": plain(notices.CHOOSE_TEAM),
        "options": choices,
    }
    if value in teams[:TEAMS]:
        element["initial_option"] = option(str(value), str(value))
    return {
        "type": "input",
        "block_id": TEAM_BLOCK,
        "label": plain(notices.TEAM),
        "element": element,
    }


def dependency_block(part: Part, asked: Asked, filled: Filled) -> Block:
    """Return the block that asks for a service to connect to."""
    value = filled.dependencies.get(qualified(part.key, asked.name))
    initial = option(value, value) if value else None
    hint = f"{asked.catalog_item} {asked.version or ''}".strip()
    return {
        "type": "input",
        "block_id": dependency_place(asked.name, part.key),
        "label": plain(notices.connect_to(asked.name), LABEL),
        "hint": plain(hint, LABEL),
        "element": external_select(notices.CHOOSE_SERVICE, initial),
        "optional": not asked.required,
    }
