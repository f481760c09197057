"""What a form is about: where it comes from, who judges it, what its last button does.

One row for each purpose. A form is made anew from the engine's answers whenever it is needed;
nothing about it is kept in this process.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from bot.forms.form import Filled, Form, Purpose, form_of, shown, untouched
from bot.forms.meta import Meta
from bot.forms.parts import Part, component_part, qualified
from bot.forms.submitting import handed_in, submission
from bot.listening import Call
from bot.messages import asking
from engine import (
    CatalogDetails,
    ComponentForm,
    FieldError,
    NotFound,
    RequestView,
    SecretField,
    Submission,
)

Operation = Literal["update", "upgrade"]

LOOK_AHEAD_SECONDS: Final = 6.0
"""How long a summary waits for Terraform's plans; without them it shows the steps alone."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A form with what stands in it, as it is judged and handed in."""

    form: Form
    filled: Filled
    meta: Meta
    key: str
    """Idempotency key: the view's id and hash, so a double click hands in once."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One row: `load` makes the form, `judge` finds what is wrong, `hand_in` does what it is for."""

    load: Callable[[Call, Meta], Awaitable[Form]]
    judge: Callable[[Call, Handed], Awaitable[list[FieldError]]]
    hand_in: Callable[[Call, Handed], Awaitable[RequestView]]


async def load(call: Call, meta: Meta) -> Form:
    """Return the form that a view belongs to, as it stands now."""
    return timed(await SUBJECTS[meta.purpose].load(call, meta), meta)


def timed(form: Form, meta: Meta) -> Form:
    """Return the form with a line about when what it orders begins, where that is asked for."""
    if meta.not_before is None:
        return form
    return replace(form, notes=(*form.notes, asking.starts_at(meta.not_before)))


async def dry_run(call: Call, handed: Handed) -> RequestView:
    """Return the request that would be made; nothing of it is kept, and nobody waits long for it."""
    tried = replace(
        _submission(handed),
        dry_run=True,
        dry_run_seconds=LOOK_AHEAD_SECONDS,
        idempotency_key=None,
    )
    return await call.services.engine.submit(await call.actor(), tried)


# Something new


async def new_form(call: Call, details: CatalogDetails) -> Form:
    """Return the form of an item or a bundle."""
    actor, engine = await call.actor(), call.services.engine
    components = []
    if details.entry.kind == "CatalogBundle":
        components = [
            (one, engine.narrowed(actor, one.details))
            for one in await engine.bundle_components(actor, details.entry.name)
        ]
    return form_of(details, actor, engine.narrowed(actor, details), components)


async def settled(call: Call, form: Form, filled: Filled) -> Form:
    """Return the form of a bundle with what it fixes, as far as its own fields tell that by now."""
    if not (form.is_new and form.components):
        return form
    actor, engine = await call.actor(), call.services.engine
    own = {one.name: filled.values.get(one.name) for one in form.fields if form.own.takes(one)}
    texts = filled.texts & own.keys()
    found = await engine.bundle_components(actor, form.name, own, texts)
    parts = (component_part(one, engine.narrowed(actor, one.details)) for one in found)
    return replace(form, components=tuple(parts))


async def _load_new(call: Call, meta: Meta) -> Form:
    actor, engine = await call.actor(), call.services.engine
    try:
        details = await engine.catalog_entry(actor, meta.name, meta.kind)
    except NotFound as gone:
        raise NotFound(
            f"{meta.name} is no longer in the catalog",
            "a sync removed it while this form was open; nothing was ordered",
            "Look for something else with /pao catalog, or ask the team that owns it",
        ) from gone
    return await new_form(call, details)


async def _judge_submission(call: Call, handed: Handed) -> list[FieldError]:
    return await call.services.engine.check(await call.actor(), _submission(handed))


async def _submit(call: Call, handed: Handed) -> RequestView:
    return await call.services.engine.submit(await call.actor(), _submission(handed))


def _submission(handed: Handed) -> Submission:
    return submission(
        handed.form,
        handed.filled,
        idempotency_key=handed.key,
        origin_channel=handed.meta.channel,
        at=handed.meta.not_before,
    )


# An operation on an instance


async def operation(call: Call, instance_id: str, request_type: Operation, name: str) -> Form:
    """Return the form of an update or upgrade, prefilled from the instance.

    Raises Conflict, with the reason, where the instance is not eligible.
    """
    actor, engine = await call.actor(), call.services.engine
    found = await engine.operation_form(actor, instance_id, request_type, name)
    form = form_of(found.details, actor, engine.narrowed(actor, found.details))
    return replace(
        form,
        purpose=request_type,
        about=found.instance.instance_id,
        own=_knowing(form.own, found.instance.deployment_parameters),
        notes=tuple(asking.about_operation(found)),
        given=found.values,
        confirmed_by=found.instance.instance_name if found.needs_confirmation else None,
    )


async def _load_operation(call: Call, meta: Meta) -> Form:
    request_type = cast("Operation", meta.purpose)
    return await operation(call, meta.about or "", request_type, meta.name)


# A request that goes on with other parameters


async def changes(call: Call, request_id: str, step: str | None) -> Form:
    """Return the form with the parameters of a failed request, by its pinned documents."""
    actor, engine = await call.actor(), call.services.engine
    view = await engine.request(actor, request_id)
    details, components = await engine.pinned_form(actor, view.request_id)
    asked = _parameters(view)
    form = form_of(details, actor, components=[(_as_known(one, asked), {}) for one in components])
    secret = form.secrets()
    return replace(
        form,
        purpose="retry" if step else "resume",
        about=view.request_id,
        own=_knowing(form.own, asked),
        components=tuple(_knowing(part, asked) for part in form.components),
        description=None,
        notes=(asking.about_changes(view, step),),
        given={
            name: asked.get(name)
            for part, one in form.every_field()
            if (name := part.name_of(one)) not in secret and one.name not in part.fixed
        },
    )


def _parameters(view: RequestView) -> dict[str, Any]:
    """Return a request's parameters by qualified name."""
    own = {name: value for name, value in view.parameters.items() if name != "components"}
    components = view.parameters.get("components") if view.components else None
    return own | {
        qualified(component, name): value
        for component, values in (components or {}).items()
        for name, value in values.items()
    }


def _as_known(component: ComponentForm, known: Mapping[str, Any]) -> ComponentForm:
    """Return a component with what the bundle fixed, as it was judged when it was ordered."""
    fixed = {
        name: known.get(qualified(component.name, name), written)
        for name, written in component.fixed.items()
    }
    return replace(component, fixed=fixed)


def _knowing(part: Part, known: Mapping[str, Any]) -> Part:
    """Return a part of something that exists: known secrets may be left empty, nothing connects."""
    secrets = frozenset(
        one.name
        for one in part.fields
        if isinstance(one, SecretField) and known.get(part.name_of(one)) is not None
    )
    return replace(part, kept=secrets, dependencies=())


async def _load_changes(call: Call, meta: Meta) -> Form:
    return await changes(call, meta.about or "", meta.step)


async def _trust(_: Call, __: Handed) -> list[FieldError]:
    """Find nothing: these values are judged when they are handed in."""
    return []


async def _go_on(call: Call, handed: Handed) -> RequestView:
    """Resume, or retry a step, with what was changed."""
    engine, actor, meta = call.services.engine, await call.actor(), handed.meta
    changed = _changed(handed.form, handed.filled, untouched(handed.form, actor))
    texts = handed.filled.texts & changed.keys()
    if meta.step is None:
        return await engine.resume(actor, meta.about or "", changed, texts=texts)
    return await engine.retry(actor, meta.about or "", meta.step, changed, texts=texts)


def _changed(form: Form, filled: Filled, before: Filled) -> dict[str, Any]:
    """Return the values that somebody changed, and what stays empty in spite of a default."""
    asked = shown(form, filled)
    given = {
        qualified(part.key, name): value
        for part in form.parts
        for name, value in handed_in(part, filled, asked).items()
    }
    defaults = {part.name_of(one) for part, one in form.every_field() if one.default is not None}
    return {
        name: value
        for name, value in given.items()
        if (value is None and name in defaults)
        or Filled(values={name: value}).differs(Filled(values={name: before.values.get(name)}))
    }


_NEW: Final = Subject(_load_new, _judge_submission, _submit)
_OPERATION: Final = Subject(_load_operation, _judge_submission, _submit)
_CHANGES: Final = Subject(_load_changes, _trust, _go_on)

SUBJECTS: Final[Mapping[Purpose, Subject]] = {
    "request": _NEW,
    "update": _OPERATION,
    "upgrade": _OPERATION,
    "resume": _CHANGES,
    "retry": _CHANGES,
}
