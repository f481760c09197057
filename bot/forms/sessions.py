"""What was entered, kept between pages and for later: drafts.

    opened --Next, Back--> kept --Submit--> forgotten
       |                     |
       +----closed by hand---+--> a draft: drawn again when the form is opened next

A view's private_metadata holds 3000 characters, too few for what a form may hold; so the entries
stand in a form_sessions row, for 24 hours after the last touch, and the view brings its id back.
Secrets are stored encrypted between the pages of one form and are not part of a draft. Nothing is
lost when the process dies: the row and Slack's view are all there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.forms.form import Filled, Form
from engine import Actor, Engine

VERSION: Final = 2
"""Of the state's shape; a row of another one counts as expired."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A form as it was kept."""

    session_id: str
    filled: Filled


async def keep(
    engine: Engine,
    actor: Actor,
    form: Form,
    filled: Filled,
    session_id: str | None = None,
    *,
    with_secrets: bool = True,
) -> str:
    """Keep what stands in the form; returns the id under which it is found again."""
    hidden = form.secrets()
    secrets = {name: filled.values[name] for name in hidden if filled.values.get(name)}
    state = {
        "version": VERSION,
        "instance_name": filled.instance_name,
        "team": filled.team,
        "dependencies": dict(filled.dependencies),
        "values": {name: value for name, value in filled.values.items() if name not in hidden},
        "texts": sorted(filled.texts),
        "chosen": dict(filled.chosen),
    }
    return await engine.keep_form(
        actor, form.subject, state, secrets if with_secrets else {}, session_id
    )


async def find(engine: Engine, actor: Actor, session_id: str) -> Kept | None:
    """Return a form under way; None where it expired."""
    return _kept(await engine.kept_form(actor, session_id))


async def draft(engine: Engine, actor: Actor, form: Form) -> Kept | None:
    """Return the person's draft of a form, without secrets and without what it does not ask."""
    kept = _kept(await engine.form_draft(actor, form.subject))
    if kept is None:
        return None
    known = {part.name_of(one) for part, one in form.every_field()} - form.secrets()
    values = {name: value for name, value in kept.filled.values.items() if name in known}
    texts = kept.filled.texts & values.keys()
    return Kept(kept.session_id, replace(kept.filled, values=values, texts=texts))


async def forget(engine: Engine, actor: Actor, form: Form) -> None:
    """Forget the person's drafts of a form."""
    await engine.forget_forms(actor, form.subject)


def _kept(found: tuple[str, Mapping[str, Any], Mapping[str, Any]] | None) -> Kept | None:
    if found is None or found[1].get("version") != VERSION:
        return None
    session_id, state, secrets = found
    filled = Filled(
        state["instance_name"],
        state["team"],
        state["dependencies"],
        {**state["values"], **secrets},
        frozenset(state["texts"]),
        state["chosen"],
    )
    return Kept(session_id, filled)
