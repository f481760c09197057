"""When a failed attempt is tried again: merged policies, bounds of the waits, Retry-After, durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.retry import INITIAL_DELAY, MAX_ATTEMPTS, MAX_DELAY, Policy, merged

SECONDS = st.floats(0, 10_000)
POLICIES = st.builds(
    Policy,
    max_attempts=st.integers(1, 20),
    strategy=st.sampled_from(["fixed", "linear", "exponential"]),
    initial_delay=SECONDS,
    max_delay=SECONDS,
)
FIELDS = {
    "max_attempts": (7, 2),
    "backoff_strategy": ("fixed", "linear"),
    "initial_delay": ("1s", "2s"),
    "max_delay": ("1h", "2h"),
    "max_duration": ("3h", "4h"),
}


def test_what_nobody_says_is_the_default() -> None:
    policy = merged(None, None)
    assert policy == Policy(MAX_ATTEMPTS, "exponential", INITIAL_DELAY, MAX_DELAY, None)


@pytest.mark.parametrize("field", FIELDS)
def test_a_step_overrides_its_sequence_field_by_field(field: str) -> None:
    sequence = {name: first for name, (first, _) in FIELDS.items()}
    both = merged(sequence, {field: FIELDS[field][1]})
    assert both == merged({**sequence, field: FIELDS[field][1]}, None)
    assert both != merged(sequence, None)


def test_a_long_first_wait_raises_the_longest_that_nobody_named() -> None:
    assert merged({"initial_delay": "1h"}, None).max_delay == 3600


@pytest.mark.parametrize(
    ("strategy", "waits"),
    [
        ("fixed", [10, 10, 10, 10]),
        ("linear", [10, 20, 30, 35]),
        ("exponential", [10, 20, 35, 35]),
    ],
)
def test_the_bounds_grow_by_their_strategy_up_to_the_longest(
    strategy: str, waits: list[float]
) -> None:
    policy = merged({"backoff_strategy": strategy, "initial_delay": 10, "max_delay": 35}, None)
    assert [policy.longest_wait(attempts) for attempts in (1, 2, 3, 4)] == waits


@given(POLICIES, st.integers(1, 100_000))
def test_a_wait_is_drawn_between_nothing_and_its_bound(policy: Policy, attempts: int) -> None:
    assert 0 <= policy.wait(attempts) <= policy.longest_wait(attempts) <= policy.max_delay


def test_the_jitter_is_full() -> None:
    policy = Policy(strategy="fixed", initial_delay=100.0)
    drawn = [policy.wait(1) for _ in range(500)]
    assert min(drawn) < 20
    assert max(drawn) > 80


@given(POLICIES, st.integers(1, 100), SECONDS)
def test_retry_after_is_a_lower_bound_up_to_the_longest_wait(
    policy: Policy, attempts: int, asked: float
) -> None:
    wait = policy.wait(attempts, asked)
    assert min(asked, policy.max_delay) <= wait <= policy.max_delay


@given(st.integers(1, 20), st.integers(1, 30))
def test_there_are_as_many_attempts_as_allowed(most: int, attempts: int) -> None:
    assert Policy(max_attempts=most).allows(attempts) == (attempts < most)


def test_no_attempt_begins_once_all_together_took_too_long() -> None:
    policy = merged({"max_attempts": 100, "max_duration": "1m"}, None)
    assert policy.allows(1, 59.9)
    assert not policy.allows(1, 60.0)
