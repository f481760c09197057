"""What the registries hold: the built-in parts, and those of other packages."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.errors import NotFound
from engine.steps.registry import (
    STEP_TYPES,
    StepServices,
    build_registry,
    step_type_names,
    template_model,
    verifications_of,
)
from engine.tickets.registry import TICKET_SYSTEMS, build_ticket_systems, ticket_system_names
from engine.verifications.registry import VERIFICATIONS, build_verifications, verification_names

PLUGIN = """
from pydantic import BaseModel

class Template(BaseModel):
    message: str

class Shout:
    name = "Shout"
    template_model = Template
    verifications = frozenset({"version_check"})
    outputs = frozenset({"text"})
    def __init__(self, services):
        self.services = services

class Broken:
    def __init__(self, services):
        raise RuntimeError("it needs a licence")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, installed for this test."""
    info = tmp_path / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pao.step_types]\nShout = shouting:Shout\nBroken = shouting:Broken\n"
        "Missing = nowhere:Type\nHttpPost = shouting:Shout\n"
        "[pao.verifications]\nvolume = shouting:Shout\n"
        "[pao.ticket_systems]\nmegaphone = shouting:Shout\n"
    )
    (tmp_path / "shouting.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", sorted(STEP_TYPES.built_in))
class TestEveryStepType:
    """What the engine and the validator rely on, whichever it is."""

    def test_it_is_registered_under_its_own_name(self, step_services, name: str) -> None:
        assert build_registry(step_services).get(name).name == name

    def test_its_template_has_a_shape(self, name: str) -> None:
        assert issubclass(template_model(name), BaseModel)
        assert template_model(name).model_config.get("extra") == "forbid"

    def test_the_verifications_that_it_answers_exist(self, name: str) -> None:
        assert verifications_of(name) <= verification_names()


@pytest.mark.parametrize("name", sorted(TICKET_SYSTEMS.built_in))
def test_every_ticket_system_is_registered_under_its_own_name(step_services, name: str) -> None:
    assert build_ticket_systems(step_services).get(name).name == name


def test_an_unknown_name_says_which_there_are(step_services: StepServices) -> None:
    with pytest.raises(NotFound, match="HttpPost") as caught:
        build_registry(step_services).get("HttpPots")
    assert caught.value.code == "unknown_step_type"
    with pytest.raises(NotFound):
        template_model("HttpPots")


@pytest.mark.usefixtures("plugin")
def test_other_packages_add_parts_and_a_broken_one_stops_nothing(step_services) -> None:
    registry = build_registry(step_services)
    assert registry.get("Shout").services is step_services
    assert "it needs a licence" in registry.broken["Broken"]
    assert "nowhere" in registry.broken["Missing"]
    assert "taken" in registry.broken["HttpPost"]
    assert registry.get("HttpPost").name == "HttpPost"
    with pytest.raises(NotFound, match="it needs a licence"):
        registry.get("Broken")
    assert "volume" in build_verifications(step_services).names
    assert "megaphone" in build_ticket_systems(step_services).names


@pytest.mark.usefixtures("plugin")
def test_names_and_shapes_of_plugins_are_known_to_the_validator() -> None:
    assert "Shout" in step_type_names()
    assert "volume" in verification_names()
    assert "megaphone" in ticket_system_names()
    assert set(template_model("Shout").model_fields) == {"message"}
    assert verifications_of("Shout") == {"version_check"}
    with pytest.raises(NotFound, match="nowhere"):
        template_model("Missing")


def test_asking_for_names_imports_no_http_library() -> None:
    program = (
        "import sys\n"
        "from engine.steps.registry import step_type_names\n"
        "from engine.verifications.registry import verification_names\n"
        "from engine.tickets.registry import ticket_system_names\n"
        "step_type_names(), verification_names(), ticket_system_names()\n"
        "print(*{'httpx', 'httpcore', 'psycopg', 'psutil'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_no_two_kinds_share_a_group() -> None:
    kinds = (STEP_TYPES, VERIFICATIONS, TICKET_SYSTEMS)
    assert len({kind.group for kind in kinds}) == len(kinds)
