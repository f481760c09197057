"""What the engine's value check found, put where the person can see and mend it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.forms.form import Filled, Form
from bot.forms.heads import choosable
from bot.forms.pages import page_of
from bot.forms.places import CHOICE_BLOCK, dependency_place, place_of
from bot.messages.text import cut
from engine import FieldError, InvalidInput

SENTENCE = 500
"""Characters of a sentence under a field; Slack shows no more in a form."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The errors of a submission: those under fields of the view at hand, and all others."""

    here: Mapping[str, str]
    """block_id -> sentence: Slack's `errors`."""
    elsewhere: tuple[FieldError, ...] = ()

    def page(self, form: Form, filled: Filled) -> int:
        """Return the page that asks for the first field that stands elsewhere."""
        return page_of(form, filled, self.elsewhere[0].field)


def sort_out(form: Form, errors: Iterable[FieldError], asked: frozenset[str]) -> Findings:
    """Split errors by whether their field is among the input blocks `asked` of the view at hand."""
    here: dict[str, str] = {}
    elsewhere: list[FieldError] = []
    for error in errors:
        if (place := place_in(form, error.field)) in asked:
            here.setdefault(place, cut(error.message, SENTENCE))
        else:
            elsewhere.append(error)
    return Findings(here, tuple(elsewhere))


def place_in(form: Form, name: str) -> str:
    """Return the id of the block that asks for what an error is about.

    Beside fields by their qualified names these are connections, by their own, and components.
    """
    bare = name.removeprefix("dependencies.")
    if all(bare != part.name_of(one) for part, one in form.every_field()):
        for whole, part, asked in form.every_dependency():
            if bare == whole:
                return dependency_place(asked.name, part.key)
    if name in choosable(form).values():
        return CHOICE_BLOCK
    return place_of(name)


def field_errors(refusal: InvalidInput) -> list[FieldError]:
    """Return what a refused submission is to blame for, field by field."""
    if refusal.errors:
        return list(refusal.errors)
    return [FieldError(refusal.field or "", str(refusal), refusal.code)]
