"""Run: one turn of a claimed step, from its rendered template to what became of it.

    start ──Completed──> verify ──verified──> completed
      │                    │  └──not yet────> waiting (phase verify)
      │                    └──contradicted──> retrying (phase verify), or failed
      ├──Waiting──> waiting (phase poll) ──poll──> Waiting or Completed again
      ├──when: false──> skipped
      └──an error──> retrying with a due time, or failed for good
    cancel ──> failed with error_type `aborted` or `timeout`

A turn takes nothing from the database but its claim and gives back one Finish; whatever it must not
lose in between (a job's id, a state's name) the step type keeps by `remember`. So a death at any
instruction repeats the phase: `start` looks for what it left behind, `poll` and `verify` only ask.
A retry verifies first where the result of the start is still there, and starts again only when it is
contradicted.

Everything that the turn says (outputs, errors, parameters, evidence) is redacted by the secrets
that its templates saw; an output that holds one is stored encrypted.

Local time is used for the attempt's time limit inside a turn only; across turns the database's
deadline holds.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from engine.checks.registry import NO_CHECKS, CheckRegistry
from engine.durations import parse_duration
from engine.errors import Kind, PaoError, StepFailed
from engine.execution.context import RunContext
from engine.execution.lease import Lease, LeaseLost
from engine.execution.leftovers import attempts_folder
from engine.execution.retry import merged
from engine.execution.scope import RunScope, build_scope
from engine.foreign_json import clean, size_of
from engine.redaction import Redactor
from engine.requests.parameters import disarmed, in_clear, seal_outputs, texts_in
from engine.requests.subject import fulfillment_of
from engine.secrets import Cipher, SecretFiles
from engine.steps.base import Completed, Resource, StepType, Waiting
from engine.steps.registry import StepRegistry
from engine.steps.templates import read_template
from engine.store.execution import Claim, ClaimedRequest, Finish, Outcome
from engine.store.pool import OUTAGE_SECONDS, Pool
from engine.store.secrets import EncryptedValue
from engine.templates import evaluate, render
from engine.verifications.base import Verdict
from engine.verifications.registry import VerificationRegistry

LARGEST_OUTPUTS: Final = 1 << 20
"""Bytes of a step's outputs as JSON."""

CANCEL_SECONDS: Final = 60.0
"""How long the end of what runs outside may take."""

LONGEST_MESSAGE: Final = 4000
"""Characters of an error's message on the attempt and in events."""

RESULT: Final = "$result"
"""Key in `external` of what `start` gave, while its verification waits."""

CANCEL: Final = "$cancel"
"""Key in `external` of the error type that a cancelled step ends with."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What turns are run with; one for a process."""

    pool: Pool
    steps: StepRegistry
    verifications: VerificationRegistry
    cipher: Cipher
    secret_files: SecretFiles
    data_dir: Path
    checks: CheckRegistry = NO_CHECKS
    public_url: str | None = None
    outage_seconds: float = OUTAGE_SECONDS


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    error_type: str
    message: str
    details: Mapping[str, Any]
    kind: Kind
    retry_after: float | None = None


async def run_claim(
    around: Surroundings,
    claim: Claim,
    request: ClaimedRequest,
    secrets: Mapping[Any, EncryptedValue],
    lease: Lease,
) -> Finish:
    """Run one turn; raises LeaseLost where the step is not ours any more.

    A cancellation from outside passes through, except where the lease says that the step was
    cancelled: then the turn ends it.
    """
    turn = _Turn(around, claim, request, lease)
    try:
        return await turn.run(secrets)
    except asyncio.CancelledError:
        if lease.is_lost:
            raise LeaseLost("The step's lease is gone", "another worker has it") from None
        if not lease.is_cancelled:
            raise
        stay_alive()
        return await turn.end_cancelled()
    finally:
        await turn.close()


def stay_alive() -> None:
    """Take back the cancellation of the running task: it was for us, and is dealt with."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


class _Turn:
    """One turn: what it was given, and what it found out so far."""

    def __init__(
        self, around: Surroundings, claim: Claim, request: ClaimedRequest, lease: Lease
    ) -> None:
        self._around = around
        self._claim = claim
        self._request = request
        self._lease = lease
        self._scope: RunScope | None = None
        self._redactor = Redactor()
        self._sensitive: tuple[str, ...] = ()
        self._context: RunContext | None = None
        self._verification: Any = None
        self._contradicted_result: Completed | None = None

    async def run(self, secrets: Mapping[Any, EncryptedValue]) -> Finish:
        """Return what became of the step in this turn."""
        try:
            self._scope = build_scope(
                self._request,
                secrets,
                self._around.cipher,
                self._around.secret_files,
                component=self._claim.component,
            )
            self._learn()
            if self._claim.phase == "cancel":
                return await self.end_cancelled()
            async with asyncio.timeout(self._seconds_left()):
                return await self._phase(self._scope)
        except LeaseLost:
            raise
        except StepFailed as error:
            failure = Failure(
                error.error_type, error.message, error.details, error.kind, error.retry_after
            )
        except TimeoutError:
            failure = await self._timed_out()
        except PaoError as error:
            failure = Failure(error.code, str(error), {}, error.kind)
        except Exception as error:  # noqa: BLE001 (the edge of the step)
            self._learn()
            trace = self._redacted(traceback.format_exc())
            log.error("step_crashed", step=self._claim.step_id, trace=trace)  # noqa: TRY400 (redacted)
            failure = Failure(type(error).__name__, str(error) or repr(error), {}, "unknown")
        return self._failed(failure)

    async def end_cancelled(self) -> Finish:
        """End what runs outside, as far as it can be ended, and the step with it."""
        error_type = "aborted"
        try:
            context = self._context or self._new_context(self._scope)
            async with asyncio.timeout(CANCEL_SECONDS):
                await context.remember({})
                error_type = str(context.external.get(CANCEL, error_type))
                await self._step_type().cancel(context)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 (the edge of the step)
            log.warning("cancel_failed", step=self._claim.step_id, error=self._redacted(str(error)))
        message = "it was aborted" if error_type == "aborted" else "the request took too long"
        return self._failed(Failure(error_type, message, {}, "permanent"))

    async def close(self) -> None:
        """Write the rest of the log, remove the attempt's folder."""
        if self._context is not None:
            await self._context.close()

    # The phases

    async def _phase(self, scope: RunScope) -> Finish:
        claim = self._claim
        when = claim.step_config.get("when")
        if claim.phase == "start" and when is not None and not _decide(when, scope):
            return self._skipped()
        self._context = context = self._new_context(scope)
        if claim.phase == "verify" and claim.external.get(RESULT):
            return await self._verify_again(context, self._kept_result(scope))
        step_type = self._step_type()
        outcome = await (
            step_type.poll(context) if claim.phase == "poll" else step_type.start(context)
        )
        return await self._after(context, outcome)

    async def _verify_again(self, context: RunContext, result: Completed) -> Finish:
        """Verify what an earlier turn gave; a new attempt that finds it contradicted starts again."""
        if not self._claim.is_new:
            return await self._verified(context, result)
        try:
            return await self._verified(context, result)
        except StepFailed:
            await context.remember({RESULT: None})
            return await self._after(context, await self._step_type().start(context))

    async def _after(self, context: RunContext, outcome: Completed | Waiting) -> Finish:
        if isinstance(outcome, Waiting):
            return self._waiting(context, outcome)
        return await self._verified(context, outcome)

    async def _verified(self, context: RunContext, result: Completed) -> Finish:
        """Judge the result by the step's verifications."""
        result = replace(result, outputs=_storable(result.outputs))
        self._sensitive = tuple(texts_in([result.outputs.get(key) for key in result.sensitive]))
        self._learn()
        verdicts: list[dict[str, Any]] = []
        for properties in () if self._claim.skip_verification else self._verifications():
            verdict = await self._check(context, properties, result)
            verdicts.append(_as_json(properties["type"], verdict))
            self._verification = self._redactor.json(
                clean(verdicts[0] if len(verdicts) == 1 else verdicts)
            )
            if verdict.again_in is not None:
                return self._still_verifying(result, verdict.again_in)
            if not verdict.verified:
                raise self._contradicted(properties["type"], verdict, result)
        return self._completed(result)

    async def _check(
        self, context: RunContext, properties: Mapping[str, Any], result: Completed
    ) -> Verdict:
        verification = self._around.verifications.get(properties["type"])
        what = f"The verification {properties['type']}"
        model = read_template(verification.model, properties, what=what)
        return await verification.check(context, model, result)

    def _contradicted(self, name: str, verdict: Verdict, result: Completed) -> StepFailed:
        error = StepFailed(
            "verification_failed",
            verdict.reason or f"{name}: expected {verdict.expected}, found {verdict.actual}",
            details={"verification": name, "expected": verdict.expected, "actual": verdict.actual},
        )
        self._contradicted_result = result
        return error

    # What became of the step

    def _completed(self, result: Completed) -> Finish:
        outputs, secrets = self._sealed(result)
        return self._finish(
            outcome="completed",
            outputs=outputs,
            secrets=tuple(secrets),
            resources=self._redactor.json(_resources(result.resources)),
            kind="step.completed",
            data={"attempt": self._claim.attempt_count},
        )

    def _skipped(self) -> Finish:
        return self._finish(
            outcome="skipped",
            outputs={},
            skip_reason="condition",
            uncounted=1,
            kind="step.skipped",
            data={"reason": "condition"},
        )

    def _waiting(self, context: RunContext, waiting: Waiting) -> Finish:
        external, secrets = context.sealed(waiting.external)
        is_first = self._claim.phase != "poll" or self._claim.is_new
        job_id, job_url = map(self._redacted_or_none, (waiting.job_id, waiting.job_url))
        data = {"job_id": job_id, "job_url": job_url}
        return self._finish(
            outcome="waiting",
            phase="poll",
            delay=waiting.delay,
            external={**self._external(), **external},
            secrets=tuple(secrets),
            job_id=job_id,
            job_url=job_url,
            kind="step.waiting" if is_first else None,
            data=data if is_first else {},
        )

    def _still_verifying(self, result: Completed, delay: float) -> Finish:
        is_first = not self._external().get(RESULT)
        kept, secrets = self._kept(result)
        return self._finish(
            outcome="waiting",
            phase="verify",
            delay=delay,
            external=kept,
            secrets=secrets,
            kind="step.verifying" if is_first else None,
        )

    def _failed(self, failure: Failure) -> Finish:
        claim = self._claim
        self._learn()
        policy = merged(self._sequence().get("retry_policy"), claim.step_config.get("retry_policy"))
        message = self._redacted(failure.message)[:LONGEST_MESSAGE]
        details = _shortened(self._redactor.json(clean(dict(failure.details))))
        told = {
            "attempt": claim.attempt_count,
            "error_type": failure.error_type,
            "error_message": message,
        }
        again = failure.kind != "permanent" and policy.allows(
            claim.group_attempts, claim.seconds_running
        )
        finish = self._finish(
            outcome="retrying" if again else "failed",
            delay=policy.wait(claim.group_attempts, failure.retry_after) if again else 0.0,
            error_type=failure.error_type,
            error_message=message,
            error_details=details or None,
            kind="step.retrying" if again else "step.failed",
            data=told if again else {**told, "details": details},
        )
        if again and self._contradicted_result is not None:
            kept, secrets = self._kept(self._contradicted_result)
            return replace(finish, phase="verify", external=kept, secrets=secrets)
        return finish

    async def _timed_out(self) -> Failure:
        """End what runs outside: the attempt's time is over."""
        if self._context is not None:
            try:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._step_type().cancel(self._context)
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 (the edge of the step)
                log.warning("cancel_failed", error=self._redacted(str(error)))
        return Failure("timeout", "The attempt took longer than its timeout", {}, "unknown")

    def _finish(
        self,
        *,
        outcome: Outcome,
        **facts: Any,
    ) -> Finish:
        parameters = None
        if self._context is not None:
            parameters = self._redactor.json(clean(dict(self._context.template)))
        return Finish(
            id=self._claim.id,
            token=self._lease.token,
            outcome=outcome,
            time_limit=self._timeout(),
            parameters=parameters,
            verification=self._verification,
            member=self._scope.member if self._scope else None,
            **facts,
        )

    # What the turn works with

    def _new_context(self, scope: RunScope | None) -> RunContext:
        """Render the template, and redact from now on by what it saw."""
        template: Any = {}
        if scope is not None:
            written = self._claim.step_config.get("template") or {}
            template = render(written, scope.names, statements=False)
            self._learn()
        return RunContext(
            pool=self._around.pool,
            claim=self._claim,
            request=self._request,
            lease=self._lease,
            redactor=self._redactor,
            template=template,
            folder=attempts_folder(self._around.data_dir) / str(self._claim.attempt_id),
            logs_url=self._logs_url(),
            outage_seconds=self._around.outage_seconds,
            cipher=self._around.cipher,
            clear={} if scope is None else scope.clear,
        )

    def _verifications(self) -> Sequence[Mapping[str, Any]]:
        written = self._claim.step_config.get("verification")
        if not written:
            return ()
        listed = [written] if isinstance(written, Mapping) else written
        names = self._scope.names if self._scope else {}
        rendered: Sequence[Mapping[str, Any]] = render(list(listed), names)
        self._learn()
        return rendered

    def _step_type(self) -> StepType:
        return self._around.steps.get(self._claim.step_type)

    def _sequence(self) -> Mapping[str, Any]:
        fulfillment = fulfillment_of(self._request.plan, self._claim.component)
        return fulfillment.get("automation") or {}

    def _timeout(self) -> float | None:
        written = self._claim.step_config.get("timeout")
        return None if written is None else parse_duration(written)

    def _seconds_left(self) -> float | None:
        left = self._claim.seconds_left
        return self._timeout() if left is None else max(left, 0.0)

    def _external(self) -> Mapping[str, Any]:
        return self._claim.external if self._context is None else self._context.kept

    def _logs_url(self) -> str | None:
        base = self._around.public_url
        return f"{base.rstrip('/')}/logs/{self._claim.attempt_id}" if base else None

    def _learn(self) -> None:
        """Redact from now on by every secret that came to light: rendering may read new ones."""
        if self._scope is None:
            return
        self._redactor = Redactor((*self._scope.secrets(), *self._sensitive))
        if self._context is not None:
            self._context.redact_by(self._redactor)

    def _redacted(self, text: str) -> str:
        return self._redactor.text(text)

    def _redacted_or_none(self, text: str | None) -> str | None:
        return text and self._redacted(text)

    # Secrets in outputs

    def _sealed(self, result: Completed) -> tuple[dict[str, Any], list[EncryptedValue]]:
        """Return the outputs with secret ones replaced by references, and the ciphertexts."""
        return seal_outputs(
            result.outputs, self._around.cipher, self._claim.id, self._redactor, result.sensitive
        )

    def _kept(self, result: Completed) -> tuple[dict[str, Any], tuple[EncryptedValue, ...]]:
        """Return `external` with the result in it, for a later turn, and its ciphertexts."""
        outputs, secrets = self._sealed(result)
        kept = {
            "outputs": outputs,
            "sensitive": sorted(result.sensitive),
            "resources": self._redactor.json(_resources(result.resources)),
            "evidence": self._redactor.json(disarmed(clean(dict(result.evidence)))),
        }
        return {**self._external(), RESULT: kept}, tuple(secrets)

    def _kept_result(self, scope: RunScope) -> Completed:
        """Return what an earlier turn kept by `_kept`."""
        kept = self._claim.external[RESULT]
        resources = kept["resources"]
        return Completed(
            outputs=in_clear(kept["outputs"], scope.clear),
            sensitive=frozenset(kept["sensitive"]),
            resources=None if resources is None else [Resource(**one) for one in resources],
            evidence=kept["evidence"],
        )


def _decide(when: Any, scope: RunScope) -> bool:
    return when if isinstance(when, bool) else evaluate(str(when), scope.names)


def _storable(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return outputs as they can be kept; StepFailed for what is too deep or too large."""
    try:
        kept: dict[str, Any] = disarmed(clean(dict(outputs)))
    except ValueError as error:
        raise StepFailed(
            "outputs_not_storable", f"The outputs are {error}", kind="permanent"
        ) from error
    if size_of(kept) > LARGEST_OUTPUTS:
        raise StepFailed(
            "outputs_too_large",
            f"The outputs are larger than {LARGEST_OUTPUTS} bytes",
            kind="permanent",
        )
    return kept


def _shortened(value: Any) -> Any:
    """Cut long texts, after they were redacted: half a secret would not be found."""
    if isinstance(value, str):
        return value[:LONGEST_MESSAGE]
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value


def _as_json(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "type": name,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "verified": verdict.verified,
        **({"reason": verdict.reason} if verdict.reason else {}),
    }


def _resources(resources: Sequence[Resource] | None) -> list[dict[str, Any]] | None:
    if resources is None:
        return None
    return [{"address": one.address, "type": one.type, "id": one.id} for one in resources]
