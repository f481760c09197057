"""Ordering from the catalog, and the same without ordering: a file to fill in, a check of what was filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.driving import Follow, follow_options
from bot.cli.errors import DONE, NO
from bot.cli.ordering import Order, order_options, place, secrets_among
from bot.cli.output import encode
from bot.cli.parameters import Given, ParameterOptions, parameter_options

if TYPE_CHECKING:
    from engine import Actor, AnyField, ComponentForm, Engine, Submission


DocumentKind: TypeAlias = Literal["CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem"]

KINDS: Final[Mapping[str, DocumentKind]] = {
    "item": "CatalogItem",
    "bundle": "CatalogBundle",
    "update": "UpdateItem",
    "upgrade": "UpgradeItem",
}
"""What each option names."""

TYPES: Final[Mapping[DocumentKind, Literal["update", "upgrade"]]] = {
    "UpdateItem": "update",
    "UpgradeItem": "upgrade",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is ordered: a document by its name; `fields` of its form, and of its components' forms."""

    kind: DocumentKind
    name: str
    instance: str | None
    fields: Sequence[AnyField]
    components: Sequence[ComponentForm]
    values: Mapping[str, Any] | None = None
    """What the service has that an operation is about."""

    def read(self, options: ParameterOptions) -> Given:
        """Return the parameters of the command line; its secrets are refused in clear."""
        names = [component.name for component in self.components]
        return options.read(secrets_among(self.fields, self.components), names)

    def submission(self, given: Given) -> Submission:
        """Return the order with these parameters."""
        from engine import Submission

        return Submission(
            parameters=given.values,
            texts=given.texts,
            dependencies=given.dependencies,
            components=given.components,
            item=None if self.kind == "CatalogBundle" else self.name,
            bundle=self.name if self.kind == "CatalogBundle" else None,
            instance=self.instance,
            request_type=TYPES.get(self.kind, "create"),
        )


async def subject_of(
    engine: Engine,
    actor: Actor,
    kind: DocumentKind,
    name: str,
    instance: str | None,
) -> Subject:
    """Return what the names mean, and the fields of its form."""
    components: Sequence[ComponentForm] = ()
    values: Mapping[str, Any] | None = None
    if instance is not None and kind not in TYPES:
        raise click.UsageError("--instance goes with --update or --upgrade.")
    if instance is not None:
        form = await engine.operation_form(actor, instance, TYPES[kind], name)
        details, values, instance = form.details, form.values, form.instance.instance_id
    else:
        details = await engine.catalog_entry(actor, name, kind)
        if kind == "CatalogBundle":
            components = await engine.bundle_components(actor, name)
    fields = engine.form_fields(details)
    return Subject(kind, name, instance, fields, components, values)


def subject_options(function: Any) -> Any:
    """Add the options that name a document to a command."""
    for option in reversed(
        [
            click.option("--item", metavar="NAME", help="A catalog item."),
            click.option("--bundle", metavar="NAME", help="A bundle."),
            click.option("--update", metavar="NAME", help="An update; with --instance."),
            click.option("--upgrade", metavar="NAME", help="An upgrade; with --instance."),
            click.option("--instance", metavar="ID", help="The service to update or upgrade."),
        ]
    ):
        function = option(function)
    return function


@command("submit")
@click.option("--item", metavar="NAME", help="The catalog item to order.")
@click.option("--bundle", metavar="NAME", help="The bundle to order.")
@click.option("--name", "instance_name", metavar="INSTANCE", help="The instance's name.")
@click.option("--team", metavar="TEAM", help="Whose it will be; one of yours.")
@order_options
@parameter_options
@as_option
@follow_options
async def submit(
    invocation: Invocation,
    *,
    item: str | None,
    bundle: str | None,
    instance_name: str | None,
    team: str | None,
    order: Order,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Order something from the catalog."""
    kind, name = _named(item=item, bundle=bundle)
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        subject = await subject_of(engine, actor, kind, name, None)
        wanted = subject.submission(subject.read(options))
        return await place(
            invocation,
            engine,
            actor,
            replace(wanted, instance_name=instance_name, team=team),
            order=order,
            follow=follow,
        )


@command("template")
@subject_options
@as_option
async def template(
    invocation: Invocation,
    *,
    item: str | None,
    bundle: str | None,
    update: str | None,
    upgrade: str | None,
    instance: str | None,
    user_id: str | None,
) -> None:
    """Print a file of parameters, ready to be filled in: with --instance the present values."""
    kind, name = _named(item=item, bundle=bundle, update=update, upgrade=upgrade)
    async with invocation.engine() as engine:
        subject = await subject_of(engine, await acting(engine, user_id), kind, name, instance)
    own = _defaults(subject.fields, subject.values)
    data: dict[str, Any] = dict(own)
    lines = list(_template_lines(subject.fields, own))
    if subject.components:
        data["components"] = {one.name: _component(one) for one in subject.components}
        lines.append("components:")
        lines += [line for one in subject.components for line in _component_lines(one)]
    invocation.output.record(data, text="\n".join(lines))


@command("validate")
@subject_options
@parameter_options
@as_option
async def validate(
    invocation: Invocation,
    *,
    item: str | None,
    bundle: str | None,
    update: str | None,
    upgrade: str | None,
    instance: str | None,
    options: ParameterOptions,
    user_id: str | None,
) -> int:
    """Check parameters as a submission would; nothing is ordered."""
    kind, name = _named(item=item, bundle=bundle, update=update, upgrade=upgrade)
    if kind in TYPES and instance is None:
        raise click.UsageError("Say by --instance which service would be changed.")
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        subject = await subject_of(engine, actor, kind, name, instance)
        errors = await engine.check(actor, subject.submission(subject.read(options)))
    found = {"valid": not errors, "errors": [asdict(error) for error in errors]}
    text = (
        "\n".join(f"{error.field}: {error.message}" for error in errors)
        or "The parameters are valid."
    )
    invocation.output.record(found, text=text)
    return NO if errors else DONE


def _named(**names: str | None) -> tuple[DocumentKind, str]:
    """Return the one document that the options name."""
    given = [(KINDS[option], name) for option, name in names.items() if name is not None]
    if len(given) != 1:
        raise click.UsageError(f"Name one of {', '.join(f'--{option}' for option in names)}.")
    return given[0]


def _defaults(
    fields: Sequence[AnyField], values: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the form begins with: `values` of a service (its secrets are left out), else defaults."""
    return {
        field.name: field.default if values is None else values.get(field.name, field.default)
        for field in fields
        if not (field.readonly or field.hidden or (values is not None and field.type == "secret"))
    }


def _component(component: ComponentForm) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if not component.required and component.enabled_when is None:
        own["enabled"] = component.enabled
    return {**own, "parameters": _defaults(component.fields)}


def _component_lines(component: ComponentForm) -> Iterator[str]:
    own = _component(component)
    yield f"  {component.name}:  # {component.display_name}"
    if "enabled" in own:
        yield f"    enabled: {encode(own['enabled'], 'json')}"
    yield "    parameters:" if own["parameters"] else "    parameters: {}"
    for line in _template_lines(component.fields, own["parameters"]):
        yield f"      {line}"


def _template_lines(fields: Sequence[AnyField], values: Mapping[str, Any]) -> list[str]:
    return [_template_line(field, values[field.name]) for field in fields if field.name in values]


def _template_line(field: AnyField, value: Any) -> str:
    """Return a line of YAML; what may be left out and has no value is commented out."""
    about = f"  # {' '.join(field.help_text.split())}" if field.help_text else ""
    need = "" if field.required or value is not None else "# "
    written = "" if value is None else json.dumps(json.loads(encode(value, "json")))
    return f"{need}{field.name}: {written}{about}".rstrip()
