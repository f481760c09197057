"""The last page of a bundle's form: everything that was entered, and what it will do."""

from collections.abc import Iterator
from typing import Any, Final

from bot.forms.form import Filled, Form, connections, enabled, shown
from bot.forms.parts import Part
from bot.messages import asking, notices
from bot.messages.blocks import Block, divider, paragraphs, section
from bot.messages.values import value_in_words
from engine import SECRET_DOTS, BaseField, Option, RequestView, SecretField

Json = Any

PARAGRAPHS: Final = 40
"""Paragraphs of one page, of up to 3000 characters; Slack takes a hundred blocks, 250 kB."""


def summary(form: Form, filled: Filled, dry_run: RequestView | None) -> list[Block]:
    """Return what the summary shows; `dry_run` is the request as it would be."""
    on, asked = enabled(form, filled), shown(form, filled)
    told = asking.entered(form.title, list(_head(form, filled)))
    for part in form.parts:
        if part.switch is None or part.key in on:
            title = asking.ANSWERS if part.switch is None else part.title
            told += ["", *asking.entered(title, list(_lines(part, filled, asked)))]
    blocks = [section(asking.LOOK_IT_OVER), *paragraphs(told)]
    if len(blocks) > PARAGRAPHS:
        blocks = [*blocks[:PARAGRAPHS], section(asking.THE_REST_IS_ON_ITS_PAGES)]
    if dry_run is not None:
        blocks += [divider(), *paragraphs(asking.will_run(dry_run).split("\n"))]
    return blocks


def fixed_in_words(part: Part, one: BaseField) -> str:
    """Return what the bundle gives for a field, or where it will come from; a secret as dots."""
    if one.name in part.late:
        return asking.known_later(part.late[one.name])
    return _in_words(one, part.fixed[one.name])


def _head(form: Form, filled: Filled) -> Iterator[tuple[str, str]]:
    """Yield name, team and connections; left empty, the name will be made of the document's."""
    yield notices.INSTANCE_NAME, filled.instance_name or asking.NAME_BY_ITSELF
    if filled.team:
        yield notices.TEAM, filled.team
    for name in sorted(connections(form, filled)):
        yield notices.connect_to(name), filled.dependencies.get(name) or value_in_words(None)


def _lines(part: Part, filled: Filled, asked: frozenset[str]) -> Iterator[tuple[str, str]]:
    for one in part.fields:
        name = part.name_of(one)
        if one.name in part.fixed:
            yield one.title, fixed_in_words(part, one)
        elif name in asked:
            value = filled.values.get(name) if part.takes(one) else one.default
            yield one.title, _in_words(one, value)


def _in_words(one: BaseField, value: Json) -> str:
    """Return a value as the form showed it: an option by its label, a secret as dots."""
    if isinstance(one, SecretField):
        return SECRET_DOTS if value else value_in_words(None)
    choices: tuple[Option, ...] = getattr(one, "choices", ())
    labels = {choice.text: choice.title for choice in choices}
    values = value if isinstance(value, list | tuple) else [value]
    words = [labels.get(str(each), value_in_words(each)) for each in values]
    return ", ".join(words) or value_in_words(None)
