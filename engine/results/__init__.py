"""What the engine's verbs take and give: the public types of the façade. JSON-ready, secrets as dots.

`as_json` in engine/__init__ turns any of them into the JSON of the command line's contract: the field names are
the JSON keys.
"""

from __future__ import annotations

from engine.results.catalog import (
    CatalogChange,
    CatalogDetails,
    CatalogEntry,
    ComponentForm,
    ComponentOutline,
    SyncReport,
)
from engine.results.events import Event, ParkedEvent
from engine.results.instances import (
    DecommissionCheck,
    DependencyView,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    MemberView,
    OperationForm,
    OperationView,
    TimelineEntry,
)
from engine.results.people import Actor, AuditEntry, KeyRotation
from engine.results.requests import (
    ApprovalView,
    AttemptLog,
    AttemptLogPage,
    AttemptView,
    CheckView,
    Clone,
    Decision,
    ForeseenTemplate,
    Rehearsal,
    RequestSummary,
    RequestView,
    StepView,
    Submission,
    TicketView,
)
from engine.results.shared import SECRET_DOTS, Json, Kind, Page, RequestType, Source

__all__ = [
    "SECRET_DOTS",
    "Actor",
    "ApprovalView",
    "AttemptLog",
    "AttemptLogPage",
    "AttemptView",
    "AuditEntry",
    "CatalogChange",
    "CatalogDetails",
    "CatalogEntry",
    "CheckView",
    "Clone",
    "ComponentForm",
    "ComponentOutline",
    "Decision",
    "DecommissionCheck",
    "DependencyView",
    "Event",
    "ForeseenTemplate",
    "HistoryEntry",
    "InstanceSummary",
    "InstanceView",
    "Json",
    "KeyRotation",
    "Kind",
    "MemberView",
    "OperationForm",
    "OperationView",
    "Page",
    "ParkedEvent",
    "Rehearsal",
    "RequestSummary",
    "RequestType",
    "RequestView",
    "Source",
    "StepView",
    "Submission",
    "SyncReport",
    "TicketView",
    "TimelineEntry",
]
