"""What a step type is: the small state machine that the engine drives, and all that it may see while driven.

`start` does the work, or hands it to an outside system and returns `Waiting`; `poll` asks again when its time has
come; `cancel` ends what runs outside. Claiming, leases, retries, verification, events, redaction and logs are
around every step type, once (engine/execution). A step type raises `StepFailed` with the kind of the error; any
other exception counts as an unknown, retried error.

`start` is called again after a crash, with the same `idempotency_key` and with whatever `remember` kept: it looks
for what the earlier try left behind before it makes anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from engine.errors import StepFailed

Json = Any
"""A JSON value: None, bool, int, Decimal, str, list or dict of the same."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One deployed resource, as kept on the instance. Never holds attribute values: they may be secret."""

    address: str
    type: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """The step's work is done. `sensitive` names outputs that are stored encrypted and shown as dots.

    `evidence` is what verifications of this step type look at (an HTTP status, a plan's changes); it is kept with
    the attempt, redacted, and never reaches templates.
    """

    outputs: Mapping[str, Json] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    resources: Sequence[Resource] | None = None
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An outside system works on it; `poll` is called after `delay` seconds. Holds no thread, connection or lease."""

    delay: float
    external: Mapping[str, Json]
    job_id: str | None = None
    job_url: str | None = None


Outcome = Completed | Waiting


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a step would change: {add, change, destroy}, None where that cannot be found out, with the reason why.

    `refusal`: what keeps the step from doing it.
    """

    changes: Mapping[str, int] | None
    why_unknown: str | None = None
    refusal: StepFailed | None = None


class StepContext(Protocol):
    """All that a step type sees of the engine."""

    @property
    def request_id(self) -> str:
        """External id (req-...) of the request."""

    @property
    def request_type(self) -> str:
        """create, update, upgrade or decommission."""

    @property
    def step_id(self) -> str:
        """The step's id, unique in its request."""

    @property
    def step_name(self) -> str:
        """The step's name in its document."""

    @property
    def attempt_number(self) -> int:
        """Which attempt this is; counts on over groups."""

    @property
    def idempotency_key(self) -> str:
        """Hash of request, step and attempt group: the same over automatic retries and take-overs."""

    @property
    def earlier_idempotency_keys(self) -> Sequence[str]:
        """Keys of earlier attempt groups, newest first: what a manual retry may find left behind."""

    @property
    def template(self) -> Mapping[str, Json]:
        """The step's template, rendered, secrets in clear."""

    @property
    def config(self) -> Mapping[str, Json]:
        """The step as written in the document (verification, outputs, timeout ...)."""

    @property
    def instance_id(self) -> str | None:
        """External id (si-...) of the instance that the request is about."""

    @property
    def catalog_commit(self) -> str | None:
        """The catalog's commit that the request is pinned to."""

    @property
    def destructive(self) -> bool:
        """Whether the document was declared destructive (always true for create and decommission plans)."""

    @property
    def external(self) -> Mapping[str, Json]:
        """What `remember` or `Waiting` kept, empty at first."""

    @property
    def work_dir(self) -> Path:
        """An empty folder of this attempt's own, removed afterwards."""

    async def remember(self, external: Mapping[str, Json]) -> None:
        """Merge into `external`, durably and fenced. Raises LeaseLost when another worker has the step."""

    async def check_lease(self) -> None:
        """Raise LeaseLost unless the step is still ours: call it immediately before each outside effect."""

    async def log(self, text: str) -> None:
        """Append to the attempt's log (redacted by the engine, kept in attempt_logs)."""

    def redacted(self, text: str) -> str:
        """Return `text` with secrets as dots: what is cut to a length is redacted before."""

    async def tell(self, kind: str, data: Mapping[str, Json]) -> None:
        """Write an event of this step ("step.plan", "step.progress"), redacted."""

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        """Keep the outside job's id and link on the attempt."""


class StepType(Protocol):
    """One kind of step. One instance serves all steps of its kind in a process; it holds clients, never step state."""

    name: ClassVar[str]
    template_model: ClassVar[type[BaseModel]]
    """Shape of a rendered template; the validator checks unrendered ones against it where values are literal."""
    verifications: ClassVar[frozenset[str]]
    """Names of the verifications that can be answered from this type's evidence."""
    outputs: ClassVar[frozenset[str] | None]
    """Names of the outputs where they are fixed (JiraTicket: key, url, status), None where they depend."""

    async def start(self, context: StepContext) -> Outcome:
        """Do the work, or hand it over. Raises StepFailed."""

    async def poll(self, context: StepContext) -> Outcome:
        """Ask the outside system again. Raises StepFailed."""

    async def cancel(self, context: StepContext) -> None:
        """End what still runs outside, as far as it can be ended."""


@runtime_checkable
class Foresees(Protocol):
    """A step type that can tell, for a dry run, what a step would change. It changes nothing, anywhere."""

    async def foresee(self, context: StepContext) -> Foreseen:
        """Look ahead, until cancelled. Raises StepFailed where the step would fail."""
