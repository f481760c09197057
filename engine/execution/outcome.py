"""What became of a step in a turn, as the Finish that is written: outputs, waits, failures.

Everything that is said is redacted by the secrets that the turn saw; an output that holds one is
stored encrypted, with a reference in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.errors import Kind, StepFailed
from engine.execution.findings import RESULT, Findings
from engine.execution.retry import merged
from engine.foreign_json import clean, size_of
from engine.requests.parameters import disarmed, in_clear, seal_outputs
from engine.steps.base import Completed, Resource, Waiting
from engine.store.execution import Finish, Outcome
from engine.store.secrets import EncryptedValue

LARGEST_OUTPUTS: Final = 1 << 20
"""Bytes of a step's outputs as JSON."""

LONGEST_MESSAGE: Final = 4000
"""Characters of an error's message on the attempt and in events."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    error_type: str
    message: str
    details: Mapping[str, Any]
    kind: Kind
    retry_after: float | None = None


def completed(found: Findings, result: Completed) -> Finish:
    """The step is done."""
    outputs, secrets = _sealed(found, result)
    return _finish(
        found,
        "completed",
        outputs=outputs,
        secrets=tuple(secrets),
        resources=found.redactor.json(_resources(result.resources)),
        kind="step.completed",
        data={"attempt": found.claim.attempt_count},
    )


def skipped(found: Findings) -> Finish:
    """The step's `when` says no."""
    return _finish(
        found,
        "skipped",
        outputs={},
        skip_reason="condition",
        uncounted=1,
        kind="step.skipped",
        data={"reason": "condition"},
    )


def waits(found: Findings, waiting: Waiting) -> Finish:
    """An outside system works on the step; it is asked again."""
    if found.context is None:
        raise ValueError("only a step that was started can wait")
    external, secrets = found.context.sealed(waiting.external)
    is_first = found.claim.phase != "poll" or found.claim.is_new
    job_id = waiting.job_id and found.redacted(waiting.job_id)
    job_url = waiting.job_url and found.redacted(waiting.job_url)
    return _finish(
        found,
        "waiting",
        phase="poll",
        delay=waiting.delay,
        external={**found.external(), **external},
        secrets=tuple(secrets),
        job_id=job_id,
        job_url=job_url,
        kind="step.waiting" if is_first else None,
        data={"job_id": job_id, "job_url": job_url} if is_first else {},
    )


def still_verifying(found: Findings, result: Completed, delay: float) -> Finish:
    """What the step did cannot be seen yet; it is looked at again."""
    is_first = not found.external().get(RESULT)
    kept, secrets = _kept(found, result)
    return _finish(
        found,
        "waiting",
        phase="verify",
        delay=delay,
        external=kept,
        secrets=secrets,
        kind="step.verifying" if is_first else None,
    )


def failed(found: Findings, failure: Failure) -> Finish:
    """The attempt failed: the step is tried again, or failed for good."""
    claim = found.claim
    found.learn()
    policy = merged(found.sequence().get("retry_policy"), claim.step_config.get("retry_policy"))
    message = found.redacted(failure.message)[:LONGEST_MESSAGE]
    details = _shortened(found.redactor.json(clean(dict(failure.details))))
    told = {
        "attempt": claim.attempt_count,
        "error_type": failure.error_type,
        "error_message": message,
    }
    again = failure.kind != "permanent" and policy.allows(
        claim.group_attempts, claim.seconds_running
    )
    finish = _finish(
        found,
        "retrying" if again else "failed",
        delay=policy.wait(claim.group_attempts, failure.retry_after) if again else 0.0,
        error_type=failure.error_type,
        error_message=message,
        error_details=details or None,
        error_kind=failure.kind,
        kind="step.retrying" if again else "step.failed",
        data=told if again else {**told, "details": details},
    )
    if again and found.contradicted is not None:
        kept, secrets = _kept(found, found.contradicted)
        return replace(finish, phase="verify", external=kept, secrets=secrets)
    return finish


def storable(outputs: Mapping[str, Any]) -> dict[str, Any]:
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


def kept_result(found: Findings) -> Completed:
    """Return the result that an earlier turn kept while its verification waits."""
    kept = found.claim.external[RESULT]
    resources = kept["resources"]
    clear = {} if found.scope is None else found.scope.clear
    return Completed(
        outputs=in_clear(kept["outputs"], clear),
        sensitive=frozenset(kept["sensitive"]),
        resources=None if resources is None else [Resource(**one) for one in resources],
        evidence=kept["evidence"],
    )


def _finish(found: Findings, outcome: Outcome, **facts: Any) -> Finish:
    return Finish(
        id=found.claim.id,
        token=found.token,
        outcome=outcome,
        time_limit=found.timeout(),
        parameters=found.parameters(),
        verification=found.verification,
        member=found.scope.member if found.scope else None,
        **facts,
    )


def _sealed(found: Findings, result: Completed) -> tuple[dict[str, Any], list[EncryptedValue]]:
    """Return the outputs with secret ones replaced by references, and the ciphertexts."""
    return seal_outputs(
        result.outputs, found.cipher, found.claim.id, found.redactor, result.sensitive
    )


def _kept(found: Findings, result: Completed) -> tuple[dict[str, Any], tuple[EncryptedValue, ...]]:
    """Return `external` with the result in it, for a later turn, and its ciphertexts."""
    outputs, secrets = _sealed(found, result)
    kept = {
        "outputs": outputs,
        "sensitive": sorted(result.sensitive),
        "resources": found.redactor.json(_resources(result.resources)),
        "evidence": found.redactor.json(disarmed(clean(dict(result.evidence)))),
    }
    return {**found.external(), RESULT: kept}, tuple(secrets)


def _shortened(value: Any) -> Any:
    """Cut long texts, after they were redacted: half a secret would not be found."""
    if isinstance(value, str):
        return value[:LONGEST_MESSAGE]
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value


def _resources(resources: Sequence[Resource] | None) -> list[dict[str, Any]] | None:
    if resources is None:
        return None
    return [{"address": one.address, "type": one.type, "id": one.id} for one in resources]
