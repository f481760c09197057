from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.embedded import EmbeddedServer
from tests.support.pao import Pao, new_pao


@pytest.fixture
def pao(run_folder: Path) -> Iterator[Pao]:
    """`pao` with a data directory of its own, whose server is stopped afterwards."""
    pao = new_pao(run_folder, f"cli-{secrets.token_hex(4)}")
    yield pao
    EmbeddedServer(pao.data_dir).stop()
    shutil.rmtree(pao.data_dir)
