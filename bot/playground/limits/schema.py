"""The grammar in which `limits` writes down what Slack takes.

A check looks at one JSON value and adds to `problems` what is wrong with it, worded as Slack words
it and followed by the place: `must be less than 76 characters [json-pointer:/blocks/0/text/text]`.
Lengths are counted in code points, as Slack counts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bot.playground.refusals import JsonObject

Check = Callable[[object, str, list[str]], None]
"""Looks at (value, its JSON pointer) and appends what is wrong to the list."""

Rule = Callable[[JsonObject, str, list[str]], None]
"""A check of an object whose fields have the right types: what holds between the fields."""


def complain(problems: list[str], message: str, pointer: str) -> None:
    """Add one problem, worded as Slack words it."""
    problems.append(f"{message} [json-pointer:{pointer or '/'}]")


def text(longest: int, shortest: int = 1, pattern: str | None = None) -> Check:
    """Take a string of `shortest` to `longest` code points that matches `pattern` in full."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if not isinstance(value, str):
            complain(problems, "must provide a string", at)
        elif len(value) > longest:
            complain(problems, f"must be less than {longest + 1} characters", at)
        elif len(value) < shortest:
            complain(problems, f"must be more than {shortest - 1} characters", at)
        elif pattern is not None and not re.fullmatch(pattern, value):
            complain(problems, f"failed to match pattern {pattern}", at)

    return check


def flag() -> Check:
    """Take true or false."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if not isinstance(value, bool):
            complain(problems, "must provide a boolean", at)

    return check


def integer(least: int, most: int | None = None) -> Check:
    """Take a whole number within bounds; a boolean or a string of digits is none."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            complain(problems, "must provide an integer", at)
        elif value < least or (most is not None and value > most):
            complain(problems, f"must be between {least} and {most or 'any number'}", at)

    return check


def one_of(*words: str) -> Check:
    """Take one of a few words."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if value not in words:
            complain(problems, f"must be one of {', '.join(words)}", at)

    return check


def array(of: Check, most: int, least: int = 0) -> Check:
    """Take a list of `least` to `most` items, each of which passes `of`."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if not isinstance(value, list):
            complain(problems, "must provide an array", at)
            return
        if len(value) > most:
            complain(problems, f"no more than {most} items allowed", at)
        if len(value) < least:
            complain(problems, f"no less than {least} items allowed", at)
        for index, item in enumerate(value):
            of(item, f"{at}/{index}", problems)

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check], *rules: Rule) -> Check:
    """Take an object with all of `required`, any of `optional`, and nothing else.

    `rules` are asked only about an object whose fields are right one by one.
    """
    known = {**required, **optional}

    def check(value: object, at: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            complain(problems, "must provide an object", at)
            return
        before = len(problems)
        for name in required:
            if name not in value:
                complain(problems, f"missing required field: {name}", at)
        for name, field in value.items():
            if name in known:
                known[name](field, f"{at}/{name}", problems)
            else:
                complain(problems, f"invalid additional property: {name}", at)
        if len(problems) == before:
            for rule in rules:
                rule(value, at, problems)

    return check


def by_type(variants: Mapping[str, Check]) -> Check:
    """Take an object whose `type` names one of `variants`, and which passes that one."""

    def check(value: object, at: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            complain(problems, "must provide an object", at)
        elif "type" not in value:
            complain(problems, "missing required field: type", at)
        elif not isinstance(value["type"], str) or value["type"] not in variants:
            complain(problems, f"unsupported type: {value['type']}", f"{at}/type")
        else:
            variants[value["type"]](value, at, problems)

    return check
