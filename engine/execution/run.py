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
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from engine.checks.registry import NO_CHECKS, CheckRegistry
from engine.errors import PaoError, StepFailed
from engine.execution import outcome
from engine.execution.context import RunContext
from engine.execution.findings import RESULT, Findings
from engine.execution.lease import Lease, LeaseLost
from engine.execution.outcome import Failure
from engine.execution.scope import RunScope
from engine.foreign_json import clean
from engine.requests.parameters import texts_in
from engine.secrets import Cipher, SecretFiles
from engine.spans import in_span
from engine.steps.base import Completed, StepType, Waiting
from engine.steps.registry import StepRegistry
from engine.steps.templates import read_template
from engine.store.claimed import ClaimedRequest
from engine.store.execution import Claim, Finish
from engine.store.pool import OUTAGE_SECONDS, Pool
from engine.templates import evaluate, render
from engine.verifications.base import Verdict
from engine.verifications.registry import VerificationRegistry

CANCEL_SECONDS: Final = 60.0
"""How long the end of what runs outside may take."""

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
    traced: bool = False
    """Whether traces are sent: then calls to the outside carry the span that they belong to."""

    def span(self, request_id: str, step_id: str | None = None) -> AbstractContextManager[None]:
        """Give the block in which calls belong to a step's span, or to the request's own."""
        return in_span(request_id, step_id) if self.traced else UNTRACED


UNTRACED: Final = nullcontext()


async def run_claim(
    around: Surroundings,
    claim: Claim,
    request: ClaimedRequest,
    scope: Callable[[], RunScope],
    lease: Lease,
) -> Finish:
    """Run one turn; raises LeaseLost where the step is not ours any more.

    `scope` builds what templates see, and may raise what makes the attempt fail. A cancellation from
    outside passes through, except where the lease says that the step was cancelled: then the turn
    ends it.
    """
    turn = _Turn(around, claim, request, lease)
    try:
        with around.span(request.request_id, claim.step_id):
            return await turn.run(scope)
    except asyncio.CancelledError:
        if lease.is_lost:
            raise LeaseLost("The step's lease is gone", "another worker has it") from None
        if not lease.is_cancelled:
            raise
        stay_alive()
        with around.span(request.request_id, claim.step_id):
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
        self._found = Findings(claim, request, lease.token, around.cipher)

    async def run(self, scope: Callable[[], RunScope]) -> Finish:
        """Return what became of the step in this turn."""
        found = self._found
        try:
            found.scope = scope()
            found.learn()
            if self._claim.phase == "cancel":
                return await self.end_cancelled()
            async with asyncio.timeout(self._seconds_left()):
                return await self._phase(found.scope)
        except LeaseLost:
            raise
        except StepFailed as error:
            told = str(error) if error.do else error.message
            failure = Failure(error.error_type, told, error.details, error.kind, error.retry_after)
        except TimeoutError:
            failure = await self._timed_out()
        except PaoError as error:
            failure = Failure(error.code, str(error), {}, error.kind)
        except Exception as error:  # noqa: BLE001 (the edge of the step)
            found.learn()
            trace = found.redacted(traceback.format_exc())
            log.error("step_crashed", step=self._claim.step_id, trace=trace)  # noqa: TRY400 (redacted)
            failure = Failure(type(error).__name__, str(error) or repr(error), {}, "unknown")
        return outcome.failed(found, failure)

    async def end_cancelled(self) -> Finish:
        """End what runs outside, as far as it can be ended, and the step with it."""
        error_type = "aborted"
        try:
            context = self._found.context or self._new_context(self._found.scope)
            async with asyncio.timeout(CANCEL_SECONDS):
                await context.remember({})
                error_type = str(context.external.get(CANCEL, error_type))
                await self._step_type().cancel(context)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 (the edge of the step)
            told = self._found.redacted(str(error))
            log.warning("cancel_failed", step=self._claim.step_id, error=told)
        message = "it was aborted" if error_type == "aborted" else "the request took too long"
        return outcome.failed(self._found, Failure(error_type, message, {}, "permanent"))

    async def close(self) -> None:
        """Write the rest of the log, remove the attempt's folder."""
        if self._found.context is not None:
            await self._found.context.close()

    # The phases

    async def _phase(self, scope: RunScope) -> Finish:
        claim = self._claim
        when = claim.step_config.get("when")
        if claim.phase == "start" and when is not None and not _decide(when, scope):
            return outcome.skipped(self._found)
        self._found.context = context = self._new_context(scope)
        if claim.phase == "verify" and claim.external.get(RESULT):
            return await self._verify_again(context, outcome.kept_result(self._found))
        step_type = self._step_type()
        given = await (
            step_type.poll(context) if claim.phase == "poll" else step_type.start(context)
        )
        return await self._after(context, given)

    async def _verify_again(self, context: RunContext, result: Completed) -> Finish:
        """Verify what an earlier turn gave; a new attempt that finds it contradicted starts again."""
        if not self._claim.is_new:
            return await self._verified(context, result)
        try:
            return await self._verified(context, result)
        except StepFailed:
            await context.remember({RESULT: None})
            return await self._after(context, await self._step_type().start(context))

    async def _after(self, context: RunContext, given: Completed | Waiting) -> Finish:
        if isinstance(given, Waiting):
            return outcome.waits(self._found, given)
        return await self._verified(context, given)

    async def _verified(self, context: RunContext, result: Completed) -> Finish:
        """Judge the result by the step's verifications."""
        found = self._found
        result = replace(result, outputs=outcome.storable(result.outputs))
        found.sensitive = tuple(texts_in([result.outputs.get(key) for key in result.sensitive]))
        found.learn()
        verdicts: list[dict[str, Any]] = []
        for properties in () if self._claim.skip_verification else self._verifications():
            verdict = await self._check(context, properties, result)
            verdicts.append(_as_json(properties["type"], verdict))
            found.verification = found.redactor.json(
                clean(verdicts[0] if len(verdicts) == 1 else verdicts)
            )
            if verdict.again_in is not None:
                return outcome.still_verifying(found, result, verdict.again_in)
            if not verdict.verified:
                found.contradicted = result
                raise _contradiction(properties["type"], verdict)
        return outcome.completed(found, result)

    async def _check(
        self, context: RunContext, properties: Mapping[str, Any], result: Completed
    ) -> Verdict:
        verification = self._around.verifications.get(properties["type"])
        what = f"The verification {properties['type']}"
        model = read_template(verification.model, properties, what=what)
        return await verification.check(context, model, result)

    async def _timed_out(self) -> Failure:
        """End what runs outside: the attempt's time is over."""
        if self._found.context is not None:
            try:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._step_type().cancel(self._found.context)
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 (the edge of the step)
                log.warning("cancel_failed", error=self._found.redacted(str(error)))
        return Failure("timeout", "The attempt took longer than its timeout", {}, "unknown")

    # What the turn works with

    def _new_context(self, scope: RunScope | None) -> RunContext:
        """Render the template, and redact from now on by what it saw."""
        template: Any = {}
        if scope is not None:
            written = self._claim.step_config.get("template") or {}
            template = render(written, scope.names, statements=True)  # the validator says where
            self._found.learn()
        return RunContext(
            pool=self._around.pool,
            claim=self._claim,
            request=self._request,
            lease=self._lease,
            redactor=self._found.redactor,
            template=template,
            data_dir=self._around.data_dir,
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
        names = self._found.scope.names if self._found.scope else {}
        rendered: Sequence[Mapping[str, Any]] = render(list(listed), names)
        self._found.learn()
        return rendered

    def _step_type(self) -> StepType:
        return self._around.steps.get(self._claim.step_type)

    def _seconds_left(self) -> float | None:
        left = self._claim.seconds_left
        return self._found.timeout() if left is None else max(left, 0.0)

    def _logs_url(self) -> str | None:
        base = self._around.public_url
        return f"{base.rstrip('/')}/logs/{self._claim.attempt_id}" if base else None


def _decide(when: Any, scope: RunScope) -> bool:
    return when if isinstance(when, bool) else evaluate(str(when), scope.names)


def _contradiction(name: str, verdict: Verdict) -> StepFailed:
    return StepFailed(
        "verification_failed",
        verdict.reason or f"{name}: expected {verdict.expected}, found {verdict.actual}",
        details={"verification": name, "expected": verdict.expected, "actual": verdict.actual},
    )


def _as_json(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "type": name,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "verified": verdict.verified,
        **({"reason": verdict.reason} if verdict.reason else {}),
    }
