"""The domain: catalog, requests, steps, instances; usable without Slack.

Everything outside imports from here and from nowhere below. Names are loaded when they are first
asked for, so that `import engine` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from engine.catalog.conditions import holds
    from engine.catalog.documents import load_presentation
    from engine.catalog.fields import (
        AnyField,
        BaseField,
        Condition,
        DateField,
        InstanceField,
        IntegerField,
        MultiselectField,
        NumberField,
        Option,
        PercentageField,
        SecretField,
        SelectionField,
        StringField,
        TeamField,
        TextareaField,
        TimeField,
    )
    from engine.catalog.moments import Clock
    from engine.catalog.presentation import BundlePresentation, Presentation
    from engine.catalog.refusal import Surroundings
    from engine.catalog.suggest import did_you_mean
    from engine.catalog.value_choices import allowed_options
    from engine.catalog.value_types import parse_text
    from engine.catalog.values import Checked, FieldError, check_values, default_values
    from engine.config import EngineConfig, GitHubSettings, TicketSystemSettings
    from engine.errors import (
        ConfigurationError,
        Conflict,
        ConstraintViolated,
        Forbidden,
        InvalidInput,
        NotFound,
        OutboundRefused,
        PaoError,
        StepFailed,
        TemplateError,
        Unavailable,
        Unreachable,
        quoted,
        shortened,
    )
    from engine.facade import Engine
    from engine.people.directory import Profile
    from engine.people.permissions import not_yours
    from engine.requests.submit import StaleForm
    from engine.results import (
        SECRET_DOTS,
        Actor,
        ApprovalView,
        AttemptLog,
        AttemptLogPage,
        AttemptView,
        AuditEntry,
        CatalogChange,
        CatalogDetails,
        CatalogEntry,
        CheckView,
        Clone,
        ComponentForm,
        ComponentOutline,
        Decision,
        DecommissionCheck,
        DependencyView,
        Event,
        ForeseenTemplate,
        HistoryEntry,
        InstanceSummary,
        InstanceView,
        Json,
        KeyRotation,
        Kind,
        MemberView,
        OperationForm,
        OperationView,
        Page,
        ParkedEvent,
        Rehearsal,
        RequestSummary,
        RequestView,
        StepView,
        Submission,
        SyncReport,
        TicketView,
        TimelineEntry,
    )
    from engine.service import Service
    from engine.store.conversations import Conversation
    from engine.store.questions import Question

_HOMES: Final = {
    "engine.catalog.conditions": "holds",
    "engine.catalog.documents": "load_presentation",
    "engine.catalog.fields": (
        "AnyField BaseField Condition DateField InstanceField IntegerField"
        " MultiselectField NumberField Option PercentageField SecretField"
        " SelectionField StringField TeamField TextareaField TimeField"
    ),
    "engine.catalog.moments": "Clock",
    "engine.catalog.presentation": "BundlePresentation Presentation",
    "engine.catalog.refusal": "Surroundings",
    "engine.catalog.suggest": "did_you_mean",
    "engine.catalog.value_choices": "allowed_options",
    "engine.catalog.value_types": "parse_text",
    "engine.catalog.values": "Checked FieldError check_values default_values",
    "engine.config": "EngineConfig GitHubSettings TicketSystemSettings",
    "engine.errors": (
        "ConfigurationError Conflict ConstraintViolated Forbidden InvalidInput NotFound"
        " OutboundRefused PaoError StepFailed TemplateError Unavailable Unreachable quoted shortened"
    ),
    "engine.facade": "Engine",
    "engine.people.directory": "Profile",
    "engine.people.permissions": "not_yours",
    "engine.requests.submit": "StaleForm",
    "engine.results": (
        "SECRET_DOTS Actor ApprovalView AttemptLog AttemptLogPage AttemptView AuditEntry CatalogChange"
        " CatalogDetails"
        " CatalogEntry CheckView Clone ComponentForm ComponentOutline Decision DecommissionCheck"
        " DependencyView Event ForeseenTemplate"
        " HistoryEntry InstanceSummary InstanceView Json KeyRotation Kind MemberView OperationForm"
        " OperationView Page ParkedEvent Rehearsal RequestSummary RequestView StepView"
        " Submission SyncReport TicketView TimelineEntry"
    ),
    "engine.service": "Service",
    "engine.store.conversations": "Conversation",
    "engine.store.questions": "Question",
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "SECRET_DOTS",
    "Actor",
    "AnyField",
    "ApprovalView",
    "AttemptLog",
    "AttemptLogPage",
    "AttemptView",
    "AuditEntry",
    "BaseField",
    "BundlePresentation",
    "CatalogChange",
    "CatalogDetails",
    "CatalogEntry",
    "CheckView",
    "Checked",
    "Clock",
    "Clone",
    "ComponentForm",
    "ComponentOutline",
    "Condition",
    "ConfigurationError",
    "Conflict",
    "ConstraintViolated",
    "Conversation",
    "DateField",
    "Decision",
    "DecommissionCheck",
    "DependencyView",
    "Engine",
    "EngineConfig",
    "Event",
    "FieldError",
    "Forbidden",
    "ForeseenTemplate",
    "GitHubSettings",
    "HistoryEntry",
    "InstanceField",
    "InstanceSummary",
    "InstanceView",
    "IntegerField",
    "InvalidInput",
    "Json",
    "KeyRotation",
    "Kind",
    "MemberView",
    "MultiselectField",
    "NotFound",
    "NumberField",
    "OperationForm",
    "OperationView",
    "Option",
    "OutboundRefused",
    "Page",
    "PaoError",
    "ParkedEvent",
    "PercentageField",
    "Presentation",
    "Profile",
    "Question",
    "Rehearsal",
    "RequestSummary",
    "RequestView",
    "SecretField",
    "SelectionField",
    "Service",
    "StaleForm",
    "StepFailed",
    "StepView",
    "StringField",
    "Submission",
    "Surroundings",
    "SyncReport",
    "TeamField",
    "TemplateError",
    "TextareaField",
    "TicketSystemSettings",
    "TicketView",
    "TimeField",
    "TimelineEntry",
    "Unavailable",
    "Unreachable",
    "allowed_options",
    "check_values",
    "default_values",
    "did_you_mean",
    "holds",
    "load_presentation",
    "not_yours",
    "parse_text",
    "quoted",
    "shortened",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(home), name)
    return found
