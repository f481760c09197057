"""The memory of a process that lives long: what dies late is freed too."""

import ctypes
import gc
import platform
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


class Mallinfo(ctypes.Structure):
    """What glibc tells of its heap (`mallinfo2`), in bytes and numbers of blocks."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def large_blocks() -> int:
    """Return how many bytes the process holds in blocks of their own."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    return int(mallinfo().hblkhd)


@pytest.mark.usefixtures("spared")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that cuts its heap")
def test_a_large_block_is_given_back_also_when_larger_ones_were_freed() -> None:
    del (larger := [bytearray(8 << 20)])[:]
    before = large_blocks()

    large = bytearray(2 << 20)

    assert large_blocks() - before >= len(large), larger
