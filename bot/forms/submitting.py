"""From what stands in a form to what the engine is handed: only fields that are asked."""

from datetime import datetime
from typing import Any, Literal

from bot.forms.form import Filled, Form, connections, enabled, shown
from bot.forms.parts import Part
from engine import SecretField, Submission

Json = Any


def submission(
    form: Form,
    filled: Filled,
    *,
    idempotency_key: str | None,
    origin_channel: str | None,
    at: datetime | None = None,
) -> Submission:
    """Return what the engine is handed for something new, or for an operation on an instance."""
    asked = shown(form, filled)
    bundle = form.kind == "CatalogBundle"
    return Submission(
        parameters=handed_in(form.own, filled, asked),
        item=None if bundle else form.name,
        bundle=form.name if bundle else None,
        instance_name=filled.instance_name,
        team=filled.team,
        dependencies={
            name: filled.dependencies[name]
            for name in connections(form, filled)
            if filled.dependencies.get(name)
        },
        components=_components(form, filled, asked),
        texts=filled.texts & asked,
        content_hash=form.content_hash,
        idempotency_key=idempotency_key,
        origin_channel=origin_channel,
        at=at,
        request_type="create" if form.purpose == "request" else _operation(form),
        instance=form.about,
        confirmation=filled.confirmation,
    )


def handed_in(part: Part, filled: Filled, asked: frozenset[str]) -> dict[str, Json]:
    """Return a part's values by field; a secret that is known already and left empty is left out."""
    return {
        one.name: filled.values.get(name)
        for one in part.fields
        if (name := part.name_of(one)) in asked and part.takes(one)
        if not (
            isinstance(one, SecretField) and one.name in part.kept and not filled.values.get(name)
        )
    }


def _components(form: Form, filled: Filled, asked: frozenset[str]) -> dict[str, dict[str, Json]]:
    on = enabled(form, filled)
    return {
        part.key: {
            "enabled": part.key in on,
            "parameters": handed_in(part, filled, asked) if part.key in on else {},
        }
        for part in form.components
    }


def _operation(form: Form) -> Literal["update", "upgrade"]:
    return "upgrade" if form.purpose == "upgrade" else "update"
