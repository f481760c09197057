"""What plug-ins add to the vocabulary of documents: step types, verifications, checks, ticket systems."""

from __future__ import annotations

from engine.catalog.checks import Known
from engine.catalog.checks.subject import PRE_EXECUTION_CHECKS, PluginStep
from engine.catalog.steps import STEP_TYPES
from engine.catalog.tickets import TICKET_SYSTEMS
from engine.catalog.verification import VERIFICATION_TYPES
from engine.checks import registry as pre_execution_checks
from engine.errors import PaoError
from engine.steps import registry as step_types
from engine.tickets import registry as ticket_systems
from engine.verifications import registry as verifications


def installed() -> Known:
    """Return what the validator may accept in this installation; nothing built-in is imported."""
    plugins = step_types.step_type_names() - set(STEP_TYPES)
    return Known(
        plugin_steps={name: _step(name) for name in sorted(plugins)},
        plugin_verifications=verifications.verification_names() - set(VERIFICATION_TYPES),
        plugin_checks=pre_execution_checks.check_names() - set(PRE_EXECUTION_CHECKS),
        plugin_systems=ticket_systems.ticket_system_names() - set(TICKET_SYSTEMS),
    )


def _step(name: str) -> PluginStep:
    """Ask a plug-in's class; one that cannot be imported is still a name that exists."""
    try:
        kind = step_types.STEP_TYPES.part_class(name)
    except PaoError:
        return PluginStep()
    return PluginStep(frozenset(kind.verifications), kind.outputs)
