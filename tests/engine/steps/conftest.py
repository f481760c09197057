import pytest

from engine.outbound import Outbound
from engine.steps.services import StepServices
from tests.support.steps import services


@pytest.fixture
async def outbound():
    way_out = Outbound(["127.0.0.1"])
    yield way_out
    await way_out.stop()


@pytest.fixture
def step_services(outbound, tmp_path) -> StepServices:
    return services(outbound, tmp_path)
