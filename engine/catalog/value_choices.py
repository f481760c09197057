"""One or some of a list of options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.catalog import fields as f
from engine.catalog.conditions import same
from engine.catalog.refusal import Refused, Surroundings
from engine.catalog.scalars import describe
from engine.catalog.suggest import did_you_mean
from engine.catalog.value_texts import plain_text
from engine.errors import quoted

Json = Any


def allowed_options(
    spec: f.SelectionField | f.MultiselectField, around: Surroundings
) -> Sequence[f.Option] | None:
    """Return the options that may be chosen; None where a source decides that was not asked."""
    if spec.options_from is not None and spec.name not in around.options:
        return None
    options = around.options.get(spec.name, spec.choices)
    narrowed = around.narrowed.get(spec.name)
    if narrowed is None:
        return options
    return [o for o in options if any(same(o.value, value) for value in narrowed)]


def parse_selection(spec: f.SelectionField, text: str) -> Json:
    """Return the option that a text means, else the text."""
    typed = {option.text: option.value for option in spec.choices}
    return typed.get(text, typed.get(text.strip(), text.strip()))


def parse_list(spec: f.MultiselectField, texts: Sequence[str]) -> Json:
    """Return the options that texts mean: repeated, or with commas between."""
    typed = {option.text: option.value for option in spec.choices}
    found: list[Json] = []
    for text in texts:
        parts = [text] if text in typed else [part.strip() for part in text.split(",")]
        found += [typed.get(part, part) for part in parts if part]
    return found or None


def check_selection(spec: f.SelectionField, value: Json, around: Surroundings) -> Json:
    """Return the value of a selection field as it is stored; raises Refused."""
    options = allowed_options(spec, around)
    return _chosen(_typed(spec, value, options), options, custom=spec.allow_custom)


def check_multiselect(spec: f.MultiselectField, value: Json, around: Surroundings) -> list[Json]:
    """Return the value of a multiselect field as it is stored; raises Refused."""
    if not isinstance(value, (list, tuple)):
        raise Refused(f"This must be a list, not {describe(value)}.", "wrong_type")
    if len(value) > 1000:
        raise Refused("At most 1000 options can be chosen.", "too_many")
    options = allowed_options(spec, around)
    chosen = [_chosen(_typed(spec, entry, options), options, custom=False) for entry in value]
    if len({f.option_text(entry) for entry in chosen}) < len(chosen):
        raise Refused("An option is chosen twice.", "twice")
    if spec.min_selections is not None and len(chosen) < spec.min_selections:
        raise Refused(f"Choose at least {spec.min_selections}.", "too_few")
    if spec.max_selections is not None and len(chosen) > spec.max_selections:
        raise Refused(f"Choose at most {spec.max_selections}.", "too_many")
    return chosen


def _typed(
    spec: f.SelectionField | f.MultiselectField, value: Json, options: Sequence[f.Option] | None
) -> Json:
    """Return the fetched option that a text means: a form knows it only by its text."""
    if spec.options_from is None or not isinstance(value, str):
        return value
    return next((option.value for option in options or () if option.text == value), value)


def _chosen(value: Json, options: Sequence[f.Option] | None, *, custom: bool) -> Json:
    if isinstance(value, (dict, list)) or value is None:
        raise Refused(f"This must be one of the options, not {describe(value)}.", "wrong_type")
    for option in options or ():
        if same(option.value, value):
            return option.value
    if options is None or custom:
        return plain_text(value) if isinstance(value, str) else value
    raise Refused(_not_an_option(value, options), "not_an_option")


def _not_an_option(value: Json, options: Sequence[f.Option]) -> str:
    texts = [option.text for option in options]
    shown = ", ".join(texts[:20]) + (f" and {len(texts) - 20} more" if len(texts) > 20 else "")
    hint = did_you_mean(f.option_text(value), texts)
    return f"{quoted(f.option_text(value))} is not an option. Allowed: {shown or 'none'}.{hint}"
