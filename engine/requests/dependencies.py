"""The instances that something new builds on, as its document asks and the person chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from engine.catalog.documents import Dependency
from engine.catalog.fields import InstanceField
from engine.catalog.suggest import did_you_mean
from engine.catalog.values import FieldError
from engine.catalog.versions import satisfies
from engine.errors import quoted
from engine.people.permissions import Action, Subject, may
from engine.results import Actor
from engine.store import submission as store
from engine.store.documents import StoredDocument
from engine.store.pool import Connection
from engine.store.submission import ChosenDependency, Provider
from engine.templates import render

_DEPENDENCIES = TypeAdapter(tuple[Dependency, ...])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one new instance is to be connected with, judged: who asks, and what was chosen.

    `values` are the parameters of the instance, for the templates of a dependency's configuration.
    """

    asked: Sequence[Dependency]
    chosen: Mapping[str, str]
    providers: Mapping[str, Provider]
    errors: Sequence[FieldError] = ()

    def connections(self, values: Mapping[str, Any]) -> list[ChosenDependency]:
        """Return what is to be written for the instance."""
        scope = {**values, "dependencies": self._seen()}
        return [
            ChosenDependency(
                provider=self.providers[self.chosen[dependency.key]].id,
                type=dependency.type,
                name=dependency.key,
                config=render(dependency.config, scope),
                required=dependency.required,
            )
            for dependency in self.asked
            if dependency.key in self.chosen
        ]

    def _seen(self) -> dict[str, Any]:
        """Return what templates see of the instances chosen; None for what was left out."""
        seen: dict[str, Any] = {}
        for dependency in self.asked:
            named = self.chosen.get(dependency.key)
            provider = self.providers[named] if named is not None else None
            seen[dependency.key] = provider and {
                "instance_id": provider.instance_id,
                "name": provider.instance_name,
                "outputs": provider.service_outputs or {},
            }
        return seen


@dataclass(frozen=True, slots=True)
class Instances:
    """What the value check asks of instances that fields name (catalog.refusal.References)."""

    actor: Actor
    found: Mapping[str, Provider]

    def instance_problem(self, field: InstanceField, instance_id: str) -> str | None:
        """Say why the person cannot choose this instance."""
        provider = self.found.get(instance_id)
        return _problem(self.actor, provider, instance_id, field.catalog_item, field.version)

    def user_problem(self, user_id: str) -> str | None:  # noqa: ARG002 (References)
        """Say nothing: people are Slack's to know."""
        return None

    def team_problem(self, team: str) -> str | None:  # noqa: ARG002 (References)
        """Say nothing: teams are Slack's to know."""
        return None


def asked_by(document: StoredDocument) -> tuple[Dependency, ...]:
    """Return the dependencies of a document as models."""
    return _DEPENDENCIES.validate_python(tuple(document.dependencies))


async def judge(
    connection: Connection,
    actor: Actor,
    asked: Sequence[Dependency],
    chosen: Mapping[str, str],
    prefix: str = "",
) -> Wanted:
    """Judge the instances chosen for a document's dependencies; findings are named with `prefix`."""
    found = await store.providers(connection, list(chosen.values())) if chosen else []
    providers = {provider.instance_id: provider for provider in found}
    errors = _unknown(asked, chosen, prefix) + _wrong(actor, asked, chosen, providers, prefix)
    return Wanted(asked, chosen, providers, errors)


def _unknown(
    asked: Sequence[Dependency], chosen: Mapping[str, str], prefix: str
) -> list[FieldError]:
    known = [dependency.key for dependency in asked]
    return [
        FieldError(
            f"{prefix}{name}",
            f"There is no dependency {quoted(name)}.{did_you_mean(name, known)}",
            "unknown_dependency",
        )
        for name in chosen
        if name not in known
    ]


def _wrong(
    actor: Actor,
    asked: Sequence[Dependency],
    chosen: Mapping[str, str],
    providers: Mapping[str, Provider],
    prefix: str,
) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: dict[tuple[str, str], str] = {}
    for dependency in asked:
        named, place = chosen.get(dependency.key), f"{prefix}{dependency.key}"
        if named is None:
            if dependency.required:
                text = f"An instance of {dependency.catalog_item} is needed here."
                errors.append(FieldError(place, text, "required"))
            continue
        twin = taken.setdefault((named, dependency.type), dependency.key)
        problem = _problem(
            actor, providers.get(named), named, dependency.catalog_item, dependency.version
        )
        if problem is None and twin != dependency.key:
            problem = f"{named} is connected as {twin} already."
        if problem:
            errors.append(FieldError(place, problem, "wrong_dependency"))
    return errors


def _problem(
    actor: Actor, provider: Provider | None, named: str, item: str | None, version: str | None
) -> str | None:
    if provider is None or not may(actor, Action.SEE_INSTANCE, _subject(provider)):
        return f"There is no instance {named}, or it is not yours."
    if item is not None and item not in (provider.catalog_name, provider.catalog_slug):
        return f"{named} is a {provider.catalog_name}; a {item} is needed."
    if provider.instance_state != "active":
        return f"{named} is {provider.instance_state}; an active instance is needed."
    if not satisfies(provider.catalog_version, version):
        return f"{named} has version {provider.catalog_version}; {version} is needed."
    return None


def _subject(provider: Provider) -> Subject:
    return Subject(
        holder=provider.owner_user_id,
        team=provider.owner_team,
        document_owner=provider.document_owner,
    )
