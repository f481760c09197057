"""The four kinds of catalog documents as models, and the way from plain data to one of them.

Plain data is what the YAML reader gives or what the database holds: None, bool, int, Decimal,
str, list, dict. Everything is read strictly and at once; a document never changes afterwards.
Whether what it says makes sense (names that exist, bounds in order) is engine/catalog/checks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from engine.catalog.fields import Condition
from engine.catalog.presentation import BundlePresentation, Presentation
from engine.catalog.scalars import (
    Count,
    Icon,
    Json,
    Many,
    Model,
    OneOrMany,
    RangeText,
    Scalar,
    Shorthand,
    Text,
    Timespan,
    VersionText,
    wrong,
)
from engine.catalog.steps import ApprovalCount, Approvers, RetryPolicy, Step
from engine.catalog.tickets import Manual

Kind = Literal["CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem"]
Lifecycle = Literal["active", "deprecated", "retired"]
DependencyType = Literal["data", "network", "authentication", "configuration"]
KINDS: Final[tuple[Kind, ...]] = ("CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem")


_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""What is a slug already, as most names are."""


def slugify(name: str) -> str:
    """Return the reference key of a name: NFKD, ASCII, lower case, other runs one hyphen.

    The database's `slugify` gives the same. Empty when nothing of the name is left.
    """
    if _SLUG.fullmatch(name):
        return name
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_text).split()
    return "-".join(words)


def _sluggable(value: str) -> str:
    if not slugify(value):
        raise wrong("empty-slug", f"the name {value!r} has no letter or digit to refer to it by")
    return value


Name = Annotated[Text, Field(min_length=1, max_length=255)]
DocumentName = Annotated[Name, AfterValidator(_sluggable)]


class Limit(Model):
    """What some teams may choose, narrower than others."""

    teams: Many[Name] | None = Field(None, description="The teams that are limited.")
    usergroups: Many[Name] | None = Field(
        None, description="The Slack user groups that are limited."
    )
    fields: dict[str, Annotated[Many[Scalar], OneOrMany()]] | None = Field(
        None, description="The values of a field that they may choose."
    )
    max_active: Count | None = Field(
        None, description="Most instances that they may have at a time."
    )


class Access(Model):
    """Who may see and request the document."""

    teams: Many[Name] | None = Field(None, description="Teams that may.")
    usergroups: Many[Name] | None = Field(None, description="Slack user groups that may.")
    limits: Many[Limit] | None = Field(None, description="Narrower limits for some teams.")


class Approval(Model):
    """Who must approve a request before it runs."""

    required: bool | Text = Field(True, description="true, or an expression over the fields.")
    approvers: Approvers = Field(description="Who may approve.")
    count: ApprovalCount = Field(1, description="How many must.")
    expires: Timespan | None = Field(None, description="How long the request waits.")
    self_approval: bool = Field(False, description="Whether the requester may approve.")


class Dependency(Model):
    """Another service that a new instance is connected to."""

    catalog_item: Name = Field(description="The item that provides it.")
    version: RangeText | None = Field(None, description="Versions that will do.")
    name: Name | None = Field(None, description="What templates call it; default: the item's slug.")
    type: DependencyType = Field("data", description="What flows over the connection.")
    required: bool = Field(True, description="Whether an instance must be chosen.")
    config: Json = Field(
        None, description="Kept as the connection's configuration; may hold templates."
    )

    @property
    def key(self) -> str:
        """The semantic name."""
        return self.name or slugify(self.catalog_item)


class Header(Model):
    """What every document begins with."""

    kind: Kind | None = Field(None, description="The kind; default: told from the sections.")
    name: DocumentName = Field(description="The document's name, unique in its kind.")
    display_name: Text | None = Field(None, max_length=255, description="What people read.")
    version: VersionText = Field(description="Semantic version 2.0.0.")
    description: Text | None = Field(None, description="What it is, in a sentence or two.")
    owner: Name | None = Field(None, description="The team that answers for it.")
    tags: Many[Name] = Field((), description="Words to find it by.")
    icon: Icon | None = Field(None, description="The name of an emoji.")
    lifecycle: Lifecycle = Field(
        "active", description="deprecated: no new instances; retired: not shown."
    )
    replaced_by: Name | None = Field(None, description="The document to take in its place.")
    channel: Name | None = Field(None, description="The Slack channel of its cards.")
    access: Access | None = Field(None, description="Who may see and request it.")
    approval: Approval | None = Field(None, description="Who must approve.")
    dependencies: Many[Dependency] = Field(
        (), description="Services that an instance is connected to."
    )

    @property
    def slug(self) -> str:
        """The kebab-case reference key."""
        return slugify(self.name)

    @property
    def title(self) -> str:
        """What people read."""
        return self.display_name or self.name


class CheckCall(Model):
    """A pre-execution check with something to ask."""

    check: Name = Field(description="The check's name.")
    template: dict[str, Json] | None = Field(None, description="What it asks.")


class Automation(Model):
    """What machines do."""

    retry_policy: RetryPolicy | None = Field(None, description="For steps that say nothing else.")
    timeout: Timespan | None = Field(None, description="Of the whole sequence.")
    fallback_on_failure: bool = Field(True, description="Whether a failed step becomes a ticket.")
    pre_execution_checks: Many[Annotated[CheckCall, Shorthand("check", {"type": "string"})]] = (
        Field((), description="What is checked before the first step.")
    )
    steps: Annotated[Many[Step], Field(min_length=1)] = Field(description="The steps.")


class Rollback(Model):
    """What is done after a failure for good."""

    steps: Annotated[Many[Step], Field(min_length=1)] = Field(description="The steps.")


class Decommission(Model):
    """How an instance is taken down."""

    manual: Manual | None = Field(None, description="The ticket of manual work.")
    automation: Automation | None = Field(None, description="What machines do.")


class Fulfillment(Model):
    """What is done for a request."""

    manual: Manual = Field(description="The ticket of manual work, also when automation fails.")
    automation: Automation | None = Field(None, description="What machines do.")
    rollback: Rollback | None = Field(None, description="What is done after a failure for good.")
    decommission: Decommission | None = Field(None, description="How an instance is taken down.")


class Target(Model):
    """An item that the operation is for."""

    name: Name = Field(description="The item's or bundle's name.")
    version_range: RangeText = Field(description="Versions that the operation is for.")
    required_parameters: Many[Name] = Field(
        (), description="Parameters that the instance must have."
    )
    optional_parameters: Many[Name] = Field((), description="Parameters that templates may use.")
    to_version: VersionText | None = Field(None, description="The instance's version afterwards.")


class Targets(Model):
    """What an update or upgrade is for, and what it costs."""

    catalog_items: Annotated[Many[Target], Field(min_length=1)] = Field(description="The targets.")
    destructive: bool | None = Field(None, description="Whether it may destroy resources.")
    downtime_required: bool | None = Field(
        None, description="Whether the service is down meanwhile."
    )
    estimated_duration: Timespan | None = Field(None, description="How long it usually takes.")
    prerequisites: Many[Text] = Field(
        (), description="What must be so before; shown with the form."
    )
    notes: Text | None = Field(None, description="Kept with the instance's history.")


class MemberDependency(Model):
    """A connection between two components."""

    on: Name = Field(description="The component that provides it.")
    type: DependencyType = Field("data", description="What flows over the connection.")
    name: Name | None = Field(None, description="What the connection is called.")
    required: bool = Field(True, description="Whether the one cannot be without the other.")
    config: Json = Field(None, description="Kept as the connection's configuration.")


class Component(Model):
    """One item of a bundle."""

    name: Name | None = Field(None, description="Unique in the bundle; default: the item's slug.")
    catalog_item: Name = Field(description="The item.")
    version: RangeText | None = Field(None, description="Versions that will do.")
    parameters: dict[str, Json] = Field(
        default_factory=dict, description="Fixed values; may be templates."
    )
    default_enabled: bool | None = Field(
        None, description="Whether an optional item is on at first."
    )
    enabled_when: Condition | None = Field(None, description="When an optional item is on.")
    role: Annotated[Text, Field(min_length=1, max_length=100)] | None = Field(
        None, description="The component's role in the bundle."
    )
    depends_on: Annotated[Many[Name], OneOrMany()] | None = Field(
        None, description="Components that come first."
    )
    dependencies: Many[MemberDependency] = Field((), description="Connections to other components.")

    @property
    def key(self) -> str:
        """The name that the rest of the bundle refers to."""
        return self.name or slugify(self.catalog_item)

    @property
    def starts_enabled(self) -> bool:
        """Whether an optional item is on before anybody chooses; off unless it says so."""
        return self.default_enabled is True


class Bundle(Model):
    """What a bundle is made of."""

    required_items: Many[Component] = Field((), description="Components that are always there.")
    optional_items: Many[Component] = Field((), description="Components that may be left out.")

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, required ones first."""
        return self.required_items + self.optional_items


class CatalogItem(Header):
    """Something that can be requested."""

    kind: Literal["CatalogItem"] = Field("CatalogItem", description="The kind of the document.")
    presentation: Presentation = Field(description="What the form asks.")
    fulfillment: Fulfillment = Field(description="What is done.")


class CatalogBundle(Header):
    """Several items that are requested together."""

    kind: Literal["CatalogBundle"] = Field("CatalogBundle", description="The kind of the document.")
    bundle: Bundle = Field(description="What it is made of.")
    presentation: BundlePresentation = Field(description="What the form asks.")


class Operation(Header):
    """Something that is done to running instances."""

    targets: Targets = Field(description="What it is for.")
    presentation: Presentation = Field(description="What the form asks.")
    fulfillment: Fulfillment = Field(description="What is done.")


_HEAVY: Final[dict[str, Any]] = {
    "properties": {
        "targets": {
            "anyOf": [
                {"properties": {key: {"const": True}}, "required": [key]}
                for key in ("destructive", "downtime_required")
            ]
        }
    }
}
"""JSON Schema of what makes an operation without `kind` an upgrade, its path aside."""


class UpdateItem(Operation):
    """A change of a running instance that keeps its version."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["kind"]}, {"not": _HEAVY}]}
    )

    kind: Literal["UpdateItem"] = Field("UpdateItem", description="The kind of the document.")


class UpgradeItem(Operation):
    """A change of a running instance to another version."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["kind"]}, _HEAVY]})

    kind: Literal["UpgradeItem"] = Field("UpgradeItem", description="The kind of the document.")


Document = CatalogItem | CatalogBundle | UpdateItem | UpgradeItem
MODELS: Final[Mapping[Kind, type[Document]]] = {
    "CatalogItem": CatalogItem,
    "CatalogBundle": CatalogBundle,
    "UpdateItem": UpdateItem,
    "UpgradeItem": UpgradeItem,
}


def infer_kind(raw: Mapping[str, Any], path: str = "") -> Kind:
    """Return the kind of a document: the one it names, else what its sections and path say."""
    named = raw.get("kind")
    if named in KINDS:
        return named  # type: ignore[no-any-return]
    if "bundle" in raw:
        return "CatalogBundle"
    if "targets" not in raw:
        return "CatalogItem"
    targets = raw["targets"]
    heavy = isinstance(targets, dict) and any(
        targets.get(key) is True for key in ("destructive", "downtime_required")
    )
    return "UpgradeItem" if heavy or "upgrades" in PurePosixPath(path).parts[:-1] else "UpdateItem"


def load_presentation(raw: Mapping[str, Any]) -> Presentation | BundlePresentation:
    """Read the `presentation` of a stored document."""
    model = BundlePresentation if "bundle_fields" in raw else Presentation
    return model.model_validate(raw)


def load_fulfillment(raw: Mapping[str, Any]) -> Fulfillment:
    """Read the `fulfillment` of a stored document."""
    return Fulfillment.model_validate(raw)


def load_targets(raw: Mapping[str, Any]) -> Targets:
    """Read the `targets` of a stored document."""
    return Targets.model_validate(raw)


def load_bundle(raw: Mapping[str, Any]) -> Bundle:
    """Read the `bundle_definition` of a stored document."""
    return Bundle.model_validate(raw)
