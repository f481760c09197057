"""What a form asks, as a document says it: fields, in groups or not. The fields are fields.py's."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from engine.catalog.fields import AnyField, FieldSpec
from engine.catalog.scalars import Many, Model, Text


class Group(Model):
    """Fields that belong together, under a heading."""

    name: str = Field(min_length=1, description="The group's name, unique in the form.")
    title: Text | None = Field(None, description="The heading; default: the name in words.")
    fields: Many[FieldSpec] = Field(description="The group's fields.")

    @property
    def heading(self) -> str:
        """The title, or the name in words."""
        return self.title or self.name.replace("_", " ").replace("-", " ").strip().capitalize()


class Presentation(Model):
    """What the form of an item asks: `fields`, or `groups` of fields."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["fields"]}, {"required": ["groups"]}]}
    )

    fields: Many[FieldSpec] | None = Field(None, description="The form's fields.")
    groups: Many[Group] | None = Field(None, description="The form's fields in groups.")

    @property
    def all_fields(self) -> tuple[AnyField, ...]:
        """All fields in the order of the form."""
        return (self.fields or ()) + tuple(f for group in self.groups or () for f in group.fields)


class BundlePresentation(Model):
    """What the form of a bundle asks: `bundle_fields`, or `groups` of fields."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["bundle_fields"]}, {"required": ["groups"]}]}
    )

    bundle_fields: Many[FieldSpec] | None = Field(None, description="The form's fields.")
    groups: Many[Group] | None = Field(None, description="The form's fields in groups.")

    @property
    def all_fields(self) -> tuple[AnyField, ...]:
        """All fields in the order of the form."""
        own = self.bundle_fields or ()
        return own + tuple(f for group in self.groups or () for f in group.fields)
