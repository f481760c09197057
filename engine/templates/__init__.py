"""The template language of documents: Jinja's syntax, an allow-list, and plain data only.

Jinja parses; nothing of Jinja runs. The syntax tree is walked once against an allow-list and
turned into Python closures (language.py, running.py), so there is no constant folding before a check, no
method of any object to call, no import and no attribute beside keys of plain data. Sizes and work
are bounded. A template is compiled once per text and kept.

- A text that is one expression and nothing else (white space around it does not count) keeps the
  expression's type: `{{ replicas }}` gives the integer 2. Anything else renders to text.
- A name that does not exist is an error. What exists and was not given is None, and so is whatever
  is looked up inside None; `default` stands in for both. In text None is nothing.
- `{% if %}` and `{% for %}` only where `statements` allows them: texts of tickets, HTTP bodies.

    template = check_template("{{ name }}-db")
    template.references          # (Reference(("name",), 1),)
    template.render({"name": "shop"})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.errors import TemplateError
from engine.templates.language import LONGEST_SOURCE, parse
from engine.templates.running import Block, Reference, Run, SecretLookup, UnknownName
from engine.templates.text import json_text, named

Json = Any
Scope = Mapping[str, Any]
"""What templates see: plain data, and at `secrets` a `SecretLookup`."""

__all__ = [
    "LONGEST_SOURCE",
    "Reference",
    "Scope",
    "SecretLookup",
    "Template",
    "UnknownName",
    "check_condition",
    "check_template",
    "evaluate",
    "has_template",
    "json_text",
    "render",
]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text. Safe to keep and to share between threads."""

    source: str
    references: tuple[Reference, ...]
    is_expression: bool
    _block: Block

    def render(self, scope: Scope) -> Json:
        """Return the expression's value, or the text; raises TemplateError."""
        return _rendered(self, Run(scope))

    def decide(self, scope: Scope) -> bool:
        """Return the value as a decision: it must be true, false or None (false)."""
        value = self.render(scope)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise TemplateError(
            f"The condition {self.source!r} gives {named(value)}",
            "it must give true or false",
        )


def has_template(text: str) -> bool:
    """Whether a text holds anything to render."""
    return "{{" in text or "{%" in text or "{#" in text


@lru_cache(maxsize=8192)
def check_template(source: str, *, statements: bool = False) -> Template:
    """Read a text; raises TemplateError with the line where it breaks a rule."""
    body = source.strip() if _is_wrapped(source) else source
    block, references, is_expression = parse(body, statements=statements)
    if not is_expression and body is not source:
        block, references, _ = parse(source, statements=statements)
    return Template(source, references, is_expression, block)


@lru_cache(maxsize=2048)
def check_condition(source: str) -> Template:
    """Read the expression of `when` or `approval.required`, with or without its braces."""
    wrapped = source if has_template(source) else "{{ " + source + " }}"
    block, references, is_expression = parse(wrapped.strip(), statements=False)
    if not is_expression:
        raise TemplateError(
            f"{source!r} is a text, not a condition",
            "a condition is one expression that gives true or false",
        )
    return Template(source, references, is_expression, block)


def evaluate(expression: str, scope: Scope) -> bool:
    """Return the decision of a `when` or `approval.required`; raises TemplateError."""
    return check_condition(expression).decide(scope)


def render(tree: Json, scope: Scope, *, statements: bool = False) -> Json:
    """Render every text inside lists and mappings; keys and other values stay as they are.

    Raises TemplateError whose `field` is the place in the tree, like `body.items[2].name`.
    """
    return _render_tree(tree, Run(scope), statements, "")


def _render_tree(tree: Json, run: Run, statements: bool, path: str) -> Json:
    match tree:
        case str():
            return _render_leaf(tree, run, statements, path)
        case Mapping():
            return {
                key: _render_tree(value, run, statements, f"{path}.{key}" if path else str(key))
                for key, value in tree.items()
            }
        case list() | tuple():
            return [
                _render_tree(value, run, statements, f"{path}[{index}]")
                for index, value in enumerate(tree)
            ]
        case _:
            return tree


def _render_leaf(text: str, run: Run, statements: bool, path: str) -> Json:
    if not has_template(text):
        return text
    try:
        return _rendered(check_template(text, statements=statements), run)
    except TemplateError as error:
        error.field = error.field or path or None
        raise


def _rendered(template: Template, run: Run) -> Json:
    evaluate: Callable[[Run], Json] = template._block  # noqa: SLF001  (its own module)
    return evaluate(run)


def _is_wrapped(source: str) -> bool:
    return source[:1].isspace() or source[-1:].isspace()
