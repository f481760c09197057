"""The memory of a process that lives long: what dies late is freed too."""

import gc
import platform
import subprocess
import sys
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


LARGE_BLOCKS = """
import ctypes
from engine.collector import spare_what_lives

class Mallinfo(ctypes.Structure):  # what glibc tells of its heap, in bytes and numbers of blocks
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
spare_what_lives()
freed = bytearray(8 << 20)
del freed
before = mallinfo().hblkhd  # bytes in blocks of their own
large = bytearray(2 << 20)
print(mallinfo().hblkhd - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that cuts its heap")
def test_a_large_block_is_given_back_also_when_larger_ones_were_freed() -> None:
    grown = subprocess.run(
        [sys.executable, "-c", LARGE_BLOCKS], capture_output=True, text=True, check=True
    )
    assert int(grown.stdout) >= 2 << 20
