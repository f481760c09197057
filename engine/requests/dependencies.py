"""The instances that a new one is connected to, as its document asks and the person chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from engine.catalog.documents import Dependency
from engine.catalog.suggest import did_you_mean
from engine.catalog.values import FieldError
from engine.catalog.versions import satisfies
from engine.errors import quoted
from engine.people.permissions import Action, Subject, may
from engine.requests.parameters import refuse
from engine.results import Actor, Submission
from engine.store import requests
from engine.store.pool import Connection
from engine.store.requests import ChosenDependency, ItemRow, Provider
from engine.templates import render

_DEPENDENCIES = TypeAdapter(tuple[Dependency, ...])


async def connect(
    connection: Connection,
    actor: Actor,
    submission: Submission,
    item: ItemRow,
    *,
    values: Mapping[str, Any],
    request_id: UUID,
    instance_id: UUID,
) -> None:
    """Write the dependencies of a new instance; InvalidInput (by field) for a wrong choice.

    `values` are the request's parameters, for the templates of a dependency's configuration.
    """
    asked = _DEPENDENCIES.validate_python(tuple(item.dependencies))
    providers = {
        provider.instance_id: provider
        for provider in await requests.providers(connection, list(submission.dependencies.values()))
    }
    refuse(_unknown(asked, submission) + _wrong(asked, submission, providers, actor))
    chosen = _chosen(asked, submission.dependencies, providers, values)
    if chosen:
        await requests.insert_dependencies(connection, request_id, instance_id, chosen)


def _chosen(
    asked: Sequence[Dependency],
    named: Mapping[str, str],
    providers: Mapping[str, Provider],
    values: Mapping[str, Any],
) -> list[ChosenDependency]:
    scope = {**values, "dependencies": _outputs(asked, named, providers)}
    return [
        ChosenDependency(
            provider=providers[named[dependency.key]].id,
            type=dependency.type,
            name=dependency.key,
            config=render(dependency.config, scope),
            required=dependency.required,
        )
        for dependency in asked
        if dependency.key in named
    ]


def _outputs(
    asked: Sequence[Dependency], named: Mapping[str, str], providers: Mapping[str, Provider]
) -> dict[str, Any]:
    """Return what templates see of the instances chosen; None for what was left out."""
    seen: dict[str, Any] = {}
    for dependency in asked:
        provider = providers[named[dependency.key]] if dependency.key in named else None
        seen[dependency.key] = provider and {
            "instance_id": provider.instance_id,
            "name": provider.instance_name,
            "outputs": provider.service_outputs or {},
        }
    return seen


def _unknown(asked: Sequence[Dependency], submission: Submission) -> list[FieldError]:
    known = [dependency.key for dependency in asked]
    return [
        FieldError(
            name,
            f"There is no dependency {quoted(name)}.{did_you_mean(name, known)}",
            "unknown_dependency",
        )
        for name in submission.dependencies
        if name not in known
    ]


def _wrong(
    asked: Sequence[Dependency],
    submission: Submission,
    providers: Mapping[str, Provider],
    actor: Actor,
) -> list[FieldError]:
    errors: list[FieldError] = []
    for dependency in asked:
        named = submission.dependencies.get(dependency.key)
        if named is None:
            if dependency.required:
                text = f"An instance of {dependency.catalog_item} is needed here."
                errors.append(FieldError(dependency.key, text, "required"))
            continue
        problem = _problem(dependency, named, providers.get(named), actor)
        if problem:
            errors.append(FieldError(dependency.key, problem, "wrong_dependency"))
    return errors


def _problem(
    dependency: Dependency, named: str, provider: Provider | None, actor: Actor
) -> str | None:
    if provider is None or not may(actor, Action.SEE_INSTANCE, _subject(provider)):
        return f"There is no instance {named}, or it is not yours."
    if dependency.catalog_item not in (provider.catalog_name, provider.catalog_slug):
        return f"{named} is a {provider.catalog_name}; a {dependency.catalog_item} is needed."
    if provider.instance_state != "active":
        return f"{named} is {provider.instance_state}; an active instance is needed."
    if not satisfies(provider.catalog_version, dependency.version):
        return f"{named} has version {provider.catalog_version}; {dependency.version} is needed."
    return None


def _subject(provider: Provider) -> Subject:
    return Subject(
        holder=provider.owner_user_id,
        team=provider.owner_team,
        document_owner=provider.document_owner,
    )
