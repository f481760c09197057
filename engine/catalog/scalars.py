"""The small types that documents are made of, strict: nothing is turned into what it is not.

Each says in its own error what it allows; `PydanticCustomError`'s type is the code of the finding
(docs/catalog-errors.md), and its context may hold `allowed` and `suggestion`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from engine import durations
from engine.catalog import versions
from engine.regexps import compile_pattern

T = TypeVar("T")

SMALLEST_INTEGER: Final = -(2**63)
LARGEST_INTEGER: Final = 2**63 - 1
"""What PostgreSQL's bigint holds."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
STEP_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_-]*$"


class Model(BaseModel):
    """A part of a document: no unknown keys, no coercion, never changed once read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def wrong(code: str, message: str, allowed: str = "", at: str = "") -> PydanticCustomError:
    """Build an error of a document; `at` is the key below the present place that is to blame."""
    return PydanticCustomError(
        code,
        "{message}",
        {"message": message, "allowed": allowed, "at": at},
    )


def _duration(value: object) -> float:
    try:
        return durations.parse_duration(value)
    except ValueError as error:
        raise wrong("invalid-duration", str(error), durations.ALLOWED) from None


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise wrong("invalid-duration", "a duration of nothing makes no sense here", "more than 0s")
    return seconds


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise wrong("wrong-type", f"a number is needed, found {describe(value)}", "a number")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise wrong("not-finite", f"{value} is not a number that can be kept", "a finite number")
    return number


def _scalar(value: object) -> bool | int | Decimal | str:
    match value:
        case bool():
            return value
        case int():
            if SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
                return value
            raise wrong("out-of-range", f"{value} is beyond 64 bits", "64 bits")
        case float() | Decimal():
            return _number(value)
        case str():
            return _plain_text(value)
    raise wrong(
        "wrong-type", f"a text, number or boolean is needed, found {describe(value)}", _SCALARS
    )


_SCALARS: Final = "a text, a number, true or false"


def _version(value: object) -> str:
    if not isinstance(value, str):
        hint = " (put it in quotes: YAML reads 1.10 as the number 1.1)" if _numeric(value) else ""
        raise wrong("wrong-type", f"a version is a text, found {describe(value)}{hint}", "a text")
    try:
        versions.parse_version(value)
    except versions.VersionError as error:
        raise wrong("invalid-version", str(error), versions.ALLOWED_VERSION) from None
    return value


def _range(value: object) -> str:
    if not isinstance(value, str):
        hint = " (put it in quotes)" if _numeric(value) else ""
        raise wrong("wrong-type", f"a version range is a text, found {describe(value)}{hint}")
    try:
        possible = versions.parse_range(value).is_possible
    except versions.VersionError as error:
        raise wrong("invalid-range", str(error), versions.ALLOWED_RANGE) from None
    if not possible:
        raise wrong("impossible-range", f"no version can be inside {value!r}", "a range that holds")
    return value


def _pattern(value: str) -> str:
    try:
        compile_pattern(value)
    except ValueError as error:
        raise wrong(
            "invalid-regexp",
            f"the pattern {value!r} cannot be used: {error}",
            "a regular expression of the linear-time kind: no look-around, no back-references",
        ) from None
    return value


def _identifier(value: str) -> str:
    if not (value.isascii() and value.isidentifier()):
        raise wrong(
            "invalid-name",
            f"{value!r} is not a field name",
            "letters, digits and underscores, beginning with a letter or an underscore",
        )
    if value in RESERVED_NAMES:
        raise wrong(
            "reserved-name",
            f"{value!r} has a meaning of its own in templates; give the field another name",
            "any name but " + ", ".join(sorted(RESERVED_NAMES)),
        )
    return value


def _step_name(value: str) -> str:
    if not (value.isascii() and value.replace("-", "_").isidentifier() and value[0] != "-"):
        raise wrong(
            "invalid-name",
            f"{value!r} is not a step name",
            "letters, digits, underscores and hyphens, beginning with a letter or an underscore",
        )
    return value


def _icon(value: str) -> str:
    name = value.strip(":")
    if not name or not all(c.isalnum() or c in "_+-'" for c in name):
        raise wrong(
            "invalid-icon", f"{value!r} is not the name of an emoji", "a name such as :gear:"
        )
    return name


def _plain_text(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("control-character", "control characters cannot be stored", "printable text")
    return value


def _numeric(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def describe(value: object) -> str:
    """Say what a value of a document is, in the words of YAML: `the text 'x'`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float() | Decimal():
            return f"the number {value}"
        case str():
            return f"the text {value if len(value) <= 60 else value[:57] + '...'!r}"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


_RESERVED: Final = (
    # What templates find in scope beside the fields.
    "parameters requester request catalog_item instance dependencies components steps secrets",
    "current_timestamp",
    # Jinja's keywords, constants and tags, and the names that it sets itself.
    "and or not in is if elif else endif for endfor true false none True False None",
    "set block macro include import extends from call filter raw with loop self",
)
RESERVED_NAMES: Final = frozenset(word for row in _RESERVED for word in row.split())
"""Names that no field can have."""

Many = Annotated[tuple[T, ...], Strict(False)]
"""A YAML list."""

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": ["string", "number"], "examples": ["30s", "5m", "1h30m", "PT5M", 90]}),
]
"""Seconds, written as a duration."""
Timespan = Annotated[Duration, AfterValidator(_positive)]
"""A duration above nothing."""
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Integer = Annotated[int, Field(ge=SMALLEST_INTEGER, le=LARGEST_INTEGER)]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
VersionText = Annotated[
    str, BeforeValidator(_version), WithJsonSchema({"type": "string", "minLength": 1})
]
RangeText = Annotated[str, BeforeValidator(_range), WithJsonSchema({"type": "string"})]
PatternText = Annotated[str, AfterValidator(_pattern)]
Text = Annotated[str, AfterValidator(_plain_text)]
FieldName = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": IDENTIFIER})
]
StepName = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": STEP_NAME}),
    AfterValidator(_step_name),
]
Icon = Annotated[str, AfterValidator(_icon)]
Scalar = Annotated[
    bool | int | Decimal | str,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Json = Any


class OneOrMany:
    """Lets one thing stand for a list of it; for the schema too."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Wrap what is no list before the list is read."""
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Allow the element beside the list."""
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


def _listed(value: object) -> object:
    return value if isinstance(value, (list, tuple)) or value is None else [value]


class Shorthand:
    """Lets a plain value stand for a mapping with that value at `key`; for the schema too."""

    def __init__(self, key: str, plain: dict[str, Any]) -> None:
        """Take the key, and the JSON Schema of the plain value."""
        self._key = key
        self._plain = plain

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Wrap what is no mapping before the mapping is read."""
        return core_schema.no_info_before_validator_function(self._wrapped, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Allow the plain value beside the mapping."""
        return {"anyOf": [self._plain, handler(schema)]}

    def _wrapped(self, value: object) -> object:
        is_mapping = isinstance(value, (dict, BaseModel))
        return value if is_mapping else {self._key: value}
