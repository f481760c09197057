"""The garbage collector of a process that lives long: what dies late is freed too."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from engine.collector import spare_what_lives


class Circle:
    """What its reference count alone never frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def spared() -> Iterator[None]:
    before = gc.get_threshold()
    spare_what_lives()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("spared")
def test_a_circle_that_outlived_the_young_passes_is_freed_before_long() -> None:
    circle = Circle()
    freed = weakref.ref(circle)
    work: list[list[int]] = [[] for _ in range(100_000)]
    del circle

    work += [[] for _ in range(100_000)]

    assert freed() is None, f"{len(work)} objects later"
