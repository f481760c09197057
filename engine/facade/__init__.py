"""The façade: the one class by which everything outside uses the engine.

Each verb takes who acts, asks the permission table, does its work in one transaction and gives a
public result (engine/results). A refusal is written to the audit log, then raised.
"""

from __future__ import annotations

from engine.facade.approvals import ApprovalVerbs
from engine.facade.hearing import HearingVerbs
from engine.facade.instances import InstanceVerbs
from engine.facade.logs import LogVerbs
from engine.facade.operating import OperatingVerbs
from engine.facade.people import PeopleVerbs
from engine.facade.requests import RequestVerbs
from engine.facade.telling import TellingVerbs


class Engine(
    RequestVerbs,
    ApprovalVerbs,
    InstanceVerbs,
    PeopleVerbs,
    TellingVerbs,
    HearingVerbs,
    LogVerbs,
    OperatingVerbs,
):
    """The engine on one database. Start it before use; `dispatcher()` is what carries steps."""
