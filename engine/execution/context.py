"""What a step type sees of the engine while it runs (engine/steps/base.py, StepContext)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog

from engine.errors import PaoError
from engine.events import NewEvent
from engine.execution.lease import Lease, LeaseLost
from engine.execution.leftovers import attempts_folder
from engine.execution.step_facts import StepFacts
from engine.foreign_json import clean
from engine.redaction import RedactedStream, Redactor
from engine.requests.parameters import SECRET_KEY, in_clear, is_reference, seal_outputs
from engine.requests.tickets import effect_key
from engine.secrets import Cipher
from engine.store import events, execution, secrets
from engine.store.claimed import ClaimedRequest
from engine.store.execution import Claim
from engine.store.pool import Connection, Pool, through_outage, transaction
from engine.store.secrets import EncryptedValue

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOG_BUFFER: Final = 16 << 10
"""Characters of a log that are kept back at most before they are written."""

LONGEST_BACKLOG: Final = 1 << 20
"""Characters of a log that wait for the database at most; the newest are kept."""

LOG_SECONDS: Final = 1.0
"""How old a kept back piece of a log gets at most while more is coming."""


@dataclass(slots=True)
class RunContext(StepFacts):
    """One turn of one step: its facts, its rendered template, and its ways to say something."""

    pool: Pool
    claim: Claim
    request: ClaimedRequest
    lease: Lease
    redactor: Redactor
    template: Mapping[str, Any]
    data_dir: Path
    logs_url: str | None
    outage_seconds: float
    cipher: Cipher
    clear: Mapping[UUID, Any]
    external: Mapping[str, Any] = field(init=False)
    kept: Mapping[str, Any] = field(init=False)
    """`external` as it is stored: what holds a secret stands there as a reference."""
    _log: _AttemptLog = field(init=False)
    _folder: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin with what earlier turns kept."""
        self.kept = self.claim.external
        self.external = in_clear(self.kept, self.clear)
        self._log = _AttemptLog(self.redactor.stream())

    @property
    def record(self) -> Claim:
        """The step, as it was claimed."""
        return self.claim

    @property
    def attempt_number(self) -> int:
        """Counts on over groups."""
        return self.claim.attempt_count

    @property
    def idempotency_key(self) -> str:
        """The key of this attempt group."""
        return self._key(self.claim.attempt_group)

    @property
    def earlier_idempotency_keys(self) -> Sequence[str]:
        """Keys of the groups before, newest first."""
        return [self._key(group) for group in range(self.claim.attempt_group - 1, 0, -1)]

    @property
    def work_dir(self) -> Path:
        """The attempt's own folder, made when first asked for."""
        if self._folder is None:
            folder = attempts_folder(self.data_dir) / str(self.claim.attempt_id)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder = folder
        return self._folder

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`, durably and fenced."""

        async def keep(connection: Connection) -> Mapping[str, Any] | None:
            sealed, new = self.sealed(external)
            await secrets.insert(connection, new)
            return await execution.remember(connection, self.claim.id, self.lease.token, sealed)

        kept = await self._write(keep)
        if kept is None:
            raise LeaseLost("The step's lease is gone", "another worker has it")
        new = {
            UUID(kept[key][SECRET_KEY]): external[key]
            for key in external
            if is_reference(kept.get(key))
        }
        self.kept, self.clear = kept, {**self.clear, **new}
        self.external = in_clear(kept, self.clear)

    def sealed(self, external: Mapping[str, Any]) -> tuple[dict[str, Any], list[EncryptedValue]]:
        """Return what is to be kept as it may be stored; what did not change keeps its reference."""
        same = {
            key: self.kept[key]
            for key, value in external.items()
            if key in self.kept and self.external.get(key) == value
        }
        changed = {key: value for key, value in external.items() if key not in same}
        sealed, new = seal_outputs(changed, self.cipher, self.claim.id, self.redactor)
        return {**same, **sealed}, new

    async def check_lease(self) -> None:
        """Raise LeaseLost unless the step is certainly still ours."""
        self.lease.check()

    async def log(self, text: str) -> None:
        """Append to the attempt's log; written in chunks, as well as it can be."""
        chunk = self._log.add(text)
        if chunk:
            await self._write_log(chunk)

    def redacted(self, text: str) -> str:
        """Return `text` with secrets as dots."""
        return self.redactor.text(text)

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Write an event of this step, redacted."""
        event = NewEvent(
            kind, self.claim.request_id, self.claim.id, data=self.redactor.json(clean(data))
        )
        await self._write(lambda connection: events.write(connection, event))

    def redact_by(self, redactor: Redactor) -> None:
        """Redact what is said from now on by more secrets than were known at the start."""
        self.redactor = redactor
        self._log.redact_by(redactor)

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        """Keep the outside job's id and link on the attempt, redacted."""
        job_id = job_id and self.redactor.text(job_id)
        job_url = job_url and self.redactor.text(job_url)
        attempt_id, token = self.claim.attempt_id, self.lease.token
        ours = await self._write(
            lambda c: execution.remember_job(c, attempt_id, token, job_id, job_url)
        )
        if not ours:
            raise LeaseLost("The step's lease is gone", "another worker has it")

    async def close(self) -> None:
        """Write the rest of the log and remove the folder."""
        try:
            rest = self._log.end()
            if rest:
                await through_outage(lambda: self._append(rest), limit=self.outage_seconds)
        except PaoError as error:
            log.warning("log_not_written", error=str(error))
        finally:
            if self._folder is not None:
                await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _write_log(self, text: str) -> None:
        """A log that cannot be written waits; a step that broke off after its effect would be worse."""
        try:
            await self._append(text)
        except PaoError as error:
            self._log.put_back(text)
            log.warning("log_not_written", error=str(error))

    async def _append(self, text: str) -> None:
        async with transaction(self.pool) as connection:
            await execution.append_log(connection, self.claim.attempt_id, text, self.logs_url)

    async def _write(self, statement: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a statement in a transaction of its own; an outage of the database is waited for."""

        async def once() -> T:
            async with transaction(self.pool) as connection:
                return await statement(connection)

        return await through_outage(once, limit=self.outage_seconds)

    def _key(self, group: int) -> str:
        return effect_key(self.claim.request_id, self.claim.step_id, group)


class _AttemptLog:
    """Gathers redacted text into chunks."""

    def __init__(self, stream: RedactedStream) -> None:
        self._stream = stream
        self._pieces: list[str] = []
        self._size = 0
        self._since = time.monotonic()

    def add(self, text: str) -> str | None:
        """Take a text; return a chunk when it is time to write one."""
        piece = self._stream.feed(text)
        self._pieces.append(piece)
        self._size += len(piece)
        is_old = time.monotonic() - self._since > LOG_SECONDS
        return self._take() if self._size > LOG_BUFFER or is_old else None

    def redact_by(self, redactor: Redactor) -> None:
        """Redact what was not shown yet by other secrets."""
        self._stream.redact_by(redactor)

    def end(self) -> str:
        """Return all that is left."""
        self._pieces.append(self._stream.end())
        return self._take()

    def put_back(self, text: str) -> None:
        """Keep for the next time what could not be written, as far as there is room."""
        self._pieces.insert(0, text[-LONGEST_BACKLOG:])
        self._size += min(len(text), LONGEST_BACKLOG)

    def _take(self) -> str:
        text = "".join(self._pieces)
        self._pieces, self._size, self._since = [], 0, time.monotonic()
        return text
