"""What a step type sees of the request and of the step's document, the same for a run and a rehearsal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from engine.store.claimed import ClaimedRequest


class StepRecord(Protocol):
    """A step as the database has it."""

    @property
    def step_id(self) -> str:
        """Its id, unique in the request."""

    @property
    def step_name(self) -> str:
        """Its name in the document."""

    @property
    def step_config(self) -> Mapping[str, Any]:
        """The step as written."""

    @property
    def component(self) -> str | None:
        """The component of a bundle that it belongs to."""


class StepFacts(ABC):
    """The facts of StepContext (engine/steps/base.py) that stand before a step begins."""

    __slots__ = ()

    request: ClaimedRequest

    @property
    @abstractmethod
    def record(self) -> StepRecord:
        """The step."""

    @property
    def request_id(self) -> str:
        """External id of the request."""
        return self.request.request_id

    @property
    def request_type(self) -> str:
        """create, update, upgrade or decommission."""
        return self.request.request_type

    @property
    def step_id(self) -> str:
        """The step's id in its request."""
        return self.record.step_id

    @property
    def step_name(self) -> str:
        """The step's name in its document."""
        return self.record.step_name

    @property
    def config(self) -> Mapping[str, Any]:
        """The step as written."""
        return self.record.step_config

    @property
    def instance_id(self) -> str | None:
        """External id of the instance: a component's own."""
        return self.request.instance_of(self.record.component)

    @property
    def catalog_commit(self) -> str | None:
        """The commit that the request is pinned to."""
        return self.request.catalog_commit

    @property
    def destructive(self) -> bool:
        """Whether the document was declared destructive."""
        return self.request.is_destructive
