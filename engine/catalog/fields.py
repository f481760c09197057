"""What a form is drawn from: the field types with their constraints, and conditions.

A field says what it asks and what it accepts. How it looks in Slack is the business of bot/forms;
whether a value is accepted, of engine/catalog/values.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from engine.catalog.scalars import (
    Count,
    FieldName,
    Integer,
    Json,
    Many,
    Model,
    Number,
    PatternText,
    RangeText,
    Scalar,
    Shorthand,
    Text,
    Timespan,
    wrong,
)

_DEFAULT: Final = "The value that is taken when none is given."

ALIASES: Final[Mapping[str, str]] = {"int": "integer", "bool": "boolean"}


class Condition(Model):
    """When a field is asked: a comparison with another field, or a combination of such."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["field", "value"], "not": {"required": ["not_value"]}},
                {"required": ["field", "not_value"]},
                {"required": ["all"]},
                {"required": ["any"]},
                {"required": ["not"]},
            ]
        }
    )

    field: str | None = Field(None, description="The field that is looked at.")
    value: Json = Field(
        None, description="True when the field has this value, or one of this list."
    )
    not_value: Json = Field(None, description="True when the field has another value than this.")
    all: Many[Condition] | None = Field(None, description="True when all of these are.")
    any: Many[Condition] | None = Field(None, description="True when one of these is.")
    not_: Condition | None = Field(None, alias="not", description="True when this is not.")

    @model_validator(mode="after")
    def _one_form(self) -> Condition:
        given = self.model_fields_set
        comparison = given & {"field", "value", "not_value"}
        combined = given & {"all", "any", "not_"}
        if len(combined) + bool(comparison) != 1:
            raise wrong(
                "invalid-condition", "a condition is one comparison or one combination", _FORMS
            )
        if comparison and (self.field is None or len(comparison) != 2):
            raise wrong(
                "invalid-condition", "a comparison has `field` and one of the two values", _FORMS
            )
        if self.all == () or self.any == ():
            raise wrong(
                "invalid-condition", "a combination of nothing cannot be true or false", _FORMS
            )
        return self

    def names(self) -> Iterator[str]:
        """Yield the fields that the condition looks at, in order, repeats included."""
        if self.field is not None:
            yield self.field
        for part in (*(self.all or ()), *(self.any or ()), *((self.not_,) if self.not_ else ())):
            yield from part.names()


_FORMS: Final = "{field, value}, {field, not_value}, {all: [...]}, {any: [...]} or {not: ...}"


class BaseField(Model):
    """What every field has."""

    name: FieldName = Field(description="The parameter's name; templates use it.")
    type: str = Field(description="The type of the field.")
    label: Text | None = Field(
        None, description="What stands above the field; default: the name in words."
    )
    required: bool = Field(False, description="Whether a value must be given.")
    default: Any = Field(None, description=_DEFAULT)
    help_text: Text | None = Field(None, description="A hint below the field.")
    placeholder: Text | None = Field(None, description="Shown while the field is empty.")
    readonly: bool = Field(False, description="Shown as text; the default is what is stored.")
    hidden: bool = Field(False, description="Not shown; the default is what is stored.")
    conditional: Condition | None = Field(
        None,
        description="The field is asked only when this is true; otherwise its value is dropped.",
    )

    @property
    def title(self) -> str:
        """The label, or the name in words."""
        return self.label or label_of(self.name)


class StringField(BaseField):
    """One line of text."""

    type: Literal["string"]
    default: Text | None = Field(None, description=_DEFAULT)
    min_length: Count | None = Field(None, description="Fewest characters.")
    max_length: Count | None = Field(None, description="Most characters.")
    regexp: PatternText | None = Field(
        None, description="A pattern (linear-time, Rust syntax) that the whole text must match."
    )
    format: Literal["email", "url", "hostname"] | None = Field(
        None, description="What the text must be."
    )


class TextareaField(BaseField):
    """Several lines of text."""

    type: Literal["textarea"]
    default: Text | None = Field(None, description=_DEFAULT)
    min_length: Count | None = Field(None, description="Fewest characters.")
    max_length: Count | None = Field(None, description="Most characters.")
    rows: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Wished height in lines."
    )
    cols: Annotated[int, Field(ge=1, le=500)] | None = Field(
        None, description="Wished width in characters."
    )


class IntegerField(BaseField):
    """A whole number within 64 bits."""

    type: Annotated[Literal["integer", "int"], AfterValidator(lambda _: "integer")]
    default: Integer | None = Field(None, description=_DEFAULT)
    min_value: Integer | None = Field(None, description="Smallest value.")
    max_value: Integer | None = Field(None, description="Largest value.")
    step: Annotated[Integer, Field(gt=0)] | None = Field(
        None, description="Distance of allowed values, counted from min_value, else from 0."
    )


class NumberField(BaseField):
    """An exact decimal."""

    type: Literal["number"]
    default: Number | None = Field(None, description=_DEFAULT)
    min_value: Number | None = Field(None, description="Smallest value.")
    max_value: Number | None = Field(None, description="Largest value.")
    step: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Distance of allowed values, counted from min_value, else from 0."
    )
    precision: Annotated[int, Field(ge=0, le=18)] | None = Field(
        None, description="Most digits after the point."
    )


class PercentageField(BaseField):
    """A number from 0 to 100."""

    type: Literal["percentage"]
    default: Number | None = Field(None, description=_DEFAULT)
    min_value: Annotated[Number, Field(ge=0, le=100)] | None = Field(
        None, description="Smallest value."
    )
    max_value: Annotated[Number, Field(ge=0, le=100)] | None = Field(
        None, description="Largest value."
    )
    step: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Distance of allowed values, counted from min_value, else from 0."
    )


class BooleanField(BaseField):
    """Yes or no."""

    type: Annotated[Literal["boolean", "bool"], AfterValidator(lambda _: "boolean")]
    default: bool | None = Field(None, description=_DEFAULT)


class DateField(BaseField):
    """A day. Bounds and default may be `today`, `today+90d` or `today-1d`."""

    type: Literal["date"]
    default: str | None = Field(None, description=_DEFAULT)
    format: str | None = Field(
        None,
        description="How a typed date may look besides ISO: YYYY, MM and DD with - . or / between.",
    )
    min_date: str | None = Field(None, description="Earliest day.")
    max_date: str | None = Field(None, description="Latest day.")


class DatetimeField(BaseField):
    """A moment, stored as ISO 8601 with an offset."""

    type: Literal["datetime"]
    default: str | None = Field(None, description=_DEFAULT)
    format: Literal["iso8601"] | None = Field(None, description="How it is written.")
    timezone: str | None = Field(
        None,
        description="Zone of a value without an offset: system, user (default) or an IANA name.",
    )
    min_datetime: str | None = Field(None, description="Earliest moment.")
    max_datetime: str | None = Field(None, description="Latest moment.")


class TimeField(BaseField):
    """A time of day."""

    type: Literal["time"]
    default: str | None = Field(None, description=_DEFAULT)
    format: Literal["HH:MM", "HH:MM:SS"] | None = Field(
        None, description="With or without seconds."
    )
    min_time: str | None = Field(None, description="Earliest time.")
    max_time: str | None = Field(None, description="Latest time.")

    @property
    def with_seconds(self) -> bool:
        """Whether seconds are asked."""
        return self.format == "HH:MM:SS"


class Option(Model):
    """One choice."""

    value: Scalar = Field(description="What is stored.")
    label: Text | None = Field(None, description="What is shown; default: the value.")
    description: Text | None = Field(None, description="A line below the label.")

    @property
    def text(self) -> str:
        """The value as text: what makes an option unique, and what a person types."""
        return option_text(self.value)

    @property
    def title(self) -> str:
        """The label, or the value as text."""
        return self.label or self.text


def label_of(name: str) -> str:
    """Return a field's name in words, for a field that has no label."""
    return name.replace("_", " ").strip().capitalize()


def option_text(value: object) -> str:
    """Return a scalar option's text form: `true` for True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


Options = Many[Annotated[Option, Shorthand("value", {"type": ["string", "number", "boolean"]})]]


class OptionsFrom(Model):
    """A list of options that is fetched."""

    url: Text = Field(description="Where the list is; may be a template.")
    json_path: str | None = Field(None, description="JSONPath of the options in the answer.")
    headers: dict[str, str] | None = Field(None, description="Request headers; may name secrets.")
    cache: Timespan | None = Field(None, description="How long an answer is kept.")
    fallback: Options | None = Field(None, description="Options for the time the source is down.")


class SelectionField(BaseField):
    """One of a list."""

    type: Literal["selection"]
    default: Scalar | None = Field(None, description=_DEFAULT)
    oneof: Options | None = Field(
        None, description="The options: scalars or {value, label, description}."
    )
    options_from: OptionsFrom | None = Field(None, description="Options from an HTTP source.")
    allow_custom: bool = Field(False, description="Whether another text may be typed.")

    @property
    def choices(self) -> tuple[Option, ...]:
        """The options that stand in the document, the fallback of a source included."""
        return _choices(self.oneof, self.options_from)


class MultiselectField(BaseField):
    """Some of a list."""

    type: Literal["multiselect"]
    default: Many[Scalar] | None = Field(None, description=_DEFAULT)
    options: Options | None = Field(
        None, description="The options: scalars or {value, label, description}."
    )
    options_from: OptionsFrom | None = Field(None, description="Options from an HTTP source.")
    min_selections: Count | None = Field(None, description="Fewest options to choose.")
    max_selections: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Most options to choose."
    )

    @property
    def choices(self) -> tuple[Option, ...]:
        """The options that stand in the document, the fallback of a source included."""
        return _choices(self.options, self.options_from)


def _choices(own: tuple[Option, ...] | None, source: OptionsFrom | None) -> tuple[Option, ...]:
    return own or (source.fallback if source else None) or ()


class SecretField(BaseField):
    """A text that is stored encrypted and never shown again."""

    type: Literal["secret"]
    default: str | None = Field(None, description=_DEFAULT)
    min_length: Count | None = Field(None, description="Fewest characters.")


class JsonField(BaseField):
    """Any JSON value."""

    type: Literal["json"]
    schema_: Json = Field(
        None, alias="schema", description="A JSON Schema that the value must meet."
    )


class InstanceField(BaseField):
    """One of the running services that the person may see."""

    type: Literal["instance"]
    default: str | None = Field(None, description=_DEFAULT)
    catalog_item: str | None = Field(None, description="Only instances of this item.")
    version: RangeText | None = Field(None, description="Only instances of these versions.")


class UserField(BaseField):
    """A person, as a Slack user id."""

    type: Literal["user"]
    default: str | None = Field(None, description=_DEFAULT)


class TeamField(BaseField):
    """A team's name."""

    type: Literal["team"]
    default: str | None = Field(None, description=_DEFAULT)


AnyField = (
    StringField
    | TextareaField
    | IntegerField
    | NumberField
    | PercentageField
    | BooleanField
    | DateField
    | DatetimeField
    | TimeField
    | SelectionField
    | MultiselectField
    | SecretField
    | JsonField
    | InstanceField
    | UserField
    | TeamField
)
FieldSpec = Annotated[AnyField, Field(discriminator="type")]

FIELD_TYPES: Final[Mapping[str, type[BaseField]]] = {
    "string": StringField,
    "textarea": TextareaField,
    "integer": IntegerField,
    "number": NumberField,
    "percentage": PercentageField,
    "boolean": BooleanField,
    "date": DateField,
    "datetime": DatetimeField,
    "time": TimeField,
    "selection": SelectionField,
    "multiselect": MultiselectField,
    "secret": SecretField,
    "json": JsonField,
    "instance": InstanceField,
    "user": UserField,
    "team": TeamField,
}
"""Every built-in type by its name; `ALIASES` has the other names."""
