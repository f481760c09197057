"""Options that are fetched: `options_from` of a selection or multiselect.

    rendered url and headers --> kept answer, young enough? --> its options
                                   | no
                                   +--> GET, through the guard --> list at json_path --> kept
                                                | down, refused, no list
                                                +--> kept for a moment as down --> fallback, or Unreachable

Url and headers are templates; they see the person, the document, the fields' values so far and, in an
operation, its instance; the headers also secrets. Menus ask at every key that is typed, so an answer is
kept for `cache` (half a minute by default), a failure for a few seconds, and equal questions at the same
time make one call. What is kept is bounded in number, and a question in time: Slack waits for three
seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from engine.catalog.fields import BaseField, Option, Options, OptionsFrom, SecretField
from engine.errors import PaoError, Unreachable
from engine.foreign_json import dump_json
from engine.jsonpaths import NoMatch, every
from engine.outbound import Outbound, Response, failure_of
from engine.results import Actor
from engine.secrets import SecretFiles
from engine.templates import render

DOCUMENT_KEYS: Final = (
    "name",
    "slug",
    "display_name",
    "version",
    "description",
    "owner",
    "tags",
    "category",
)
"""What templates see of a document, as `catalog_item`."""

FETCH_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 30.0
"""How long an answer is kept where the document does not say."""

DOWN_SECONDS: Final = 5.0
"""How long a source that is down is not asked again."""

LARGEST_LIST: Final = 10_000
KEPT_ANSWERS: Final = 256

_OPTIONS: TypeAdapter[tuple[Option, ...]] = TypeAdapter(Options)


class Document(Protocol):
    """The document that a field stands in: what DOCUMENT_KEYS name, and `owner`."""

    @property
    def owner(self) -> str:
        """The team that owns it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, in which document (`path` from the catalog's root), with which values so far."""

    actor: Actor
    document: Document
    path: str | None
    fields: Sequence[BaseField]
    values: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What else templates see: of an operation its `instance`, and what its targets name of it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer until a moment of the monotonic clock: options, or why there are none."""

    until: float
    options: Sequence[Option] | None
    reason: str = ""


class OptionSources:
    """The sources of options, as one process sees them."""

    def __init__(self, outbound: Outbound, files: SecretFiles) -> None:
        self._outbound = outbound
        self._files = files
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asked: dict[str, asyncio.Task[_Kept]] = {}

    async def stop(self) -> None:
        """End the questions under way."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def options(self, asking: Asking, name: str, source: OptionsFrom) -> Sequence[Option]:
        """Return the options of the field `name`: fetched, kept, or the document's fallback.

        Raises Unreachable where the source is down and there is no fallback.
        """
        try:
            found = await self._answer(asking, source)
        except PaoError as error:  # a template or a secret that cannot be used
            found = _Kept(0, None, str(error))
        if found.options is not None:
            return found.options
        if source.fallback is not None:
            return source.fallback
        raise Unreachable(
            f"The options of {name} cannot be fetched now",
            found.reason,
            f"Try again in a moment, or tell {asking.document.owner}, who own this",
            code="source_down",
        )

    async def _answer(self, asking: Asking, source: OptionsFrom) -> _Kept:
        secrets = self._files.scope(asking.document.owner, asking.path)
        scope = _scope(asking)
        url = str(render(source.url, scope))
        # Reads the files of secrets that are named.
        headers = await asyncio.to_thread(
            render, dict(source.headers or {}), {**scope, "secrets": secrets}
        )
        key = _key(url, headers, source.json_path)
        kept = self._kept.get(key)
        if kept is not None and kept.until > time.monotonic():
            return kept
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, url, headers, source), name="fetch options")
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(task)

    async def _fetch(
        self, key: str, url: str, headers: Mapping[str, str], source: OptionsFrom
    ) -> _Kept:
        """Ask the source, and keep what came of it."""
        try:
            response = await self._outbound.request(
                "GET", url, headers=headers, timeout=FETCH_SECONDS
            )
            options = _options(response, source.json_path)
        except (PaoError, ValueError, NoMatch) as error:
            answer = _Kept(time.monotonic() + DOWN_SECONDS, None, _reason(error))
        else:
            seconds = KEPT_SECONDS if source.cache is None else float(source.cache)
            answer = _Kept(time.monotonic() + seconds, options)
        self._kept[key] = answer
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)
        return answer


def source_of(spec: BaseField) -> OptionsFrom | None:
    """Return the source of a field's options, None where they stand in the document."""
    found = getattr(spec, "options_from", None)
    return found if isinstance(found, OptionsFrom) else None


def _scope(asking: Asking) -> dict[str, Any]:
    """Return what url and headers see: what is not known before a request exists is None."""
    actor = asking.actor
    open_fields = [spec.name for spec in asking.fields if not isinstance(spec, SecretField)]
    values = {name: asking.values.get(name) for name in open_fields}
    return {
        "instance": None,
        **asking.beside,
        **dict.fromkeys(spec.name for spec in asking.fields),
        **values,
        "parameters": [{"name": name, "value": value} for name, value in values.items()],
        "requester": {
            "user_id": actor.user_id,
            "name": actor.name,
            "email": actor.email,
            "team": actor.teams[0] if actor.teams else None,
        },
        "request": None,
        "catalog_item": {key: getattr(asking.document, key, None) for key in DOCUMENT_KEYS},
        "dependencies": None,
        "components": None,
        "steps": None,
        "current_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _key(url: str, headers: Mapping[str, str], path: str | None) -> str:
    """Return what tells questions apart; a hash, since headers may hold secrets."""
    return hashlib.sha256(dump_json([url, dict(headers), path]).encode()).hexdigest()


def _options(response: Response, path: str | None) -> Sequence[Option]:
    """Return the options of an answer, each value once; an empty text is none."""
    failure = failure_of(response)
    if failure is not None:
        raise failure
    document = response.json()
    found = every(path, document, LARGEST_LIST) if path else document
    if path and isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    if not isinstance(found, list):
        raise NoMatch("its answer is not a list")
    options = _OPTIONS.validate_python(tuple(found[:LARGEST_LIST]))
    return tuple({option.text: option for option in options if option.text.strip()}.values())


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "its answer is not a list of options"
    return str(error)
