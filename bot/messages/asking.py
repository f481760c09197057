"""Every sentence of the forms for bundles, operations and the end of a service."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bot.messages.text import authored, code, escaped, mention, moment, one_line
from bot.messages.values import changes_in_words
from engine import (
    DecommissionCheck,
    ForeseenTemplate,
    InstanceView,
    OperationForm,
    OperationView,
    Rehearsal,
    RequestView,
    StepView,
)

# Plain text

OPTIONAL_ITEMS: Final = "Optional items"
CHOOSE_ITEMS: Final = "Choose what you want"
CONFIRM: Final = "Type the name to confirm"
SUBMIT_WORDS: Final[Mapping[str, str]] = {
    "update": "Update",
    "upgrade": "Upgrade",
    "resume": "Resume",
    "retry": "Retry",
}
"""What the last button of a form says, by the form's purpose."""
SECRET_STAYS: Final = "Stays as it is; type to replace it"


def confirm_hint(name: str) -> str:
    """Plain. Tell what is to be typed."""
    return f"Exactly: {name}"


def form_changed(title: str, version: str, before: Sequence[str], after: Sequence[str]) -> str:
    """Tell what a sync changed of a form that is open; fields are given by their labels."""
    new = [label for label in after if label not in before]
    gone = [label for label in before if label not in after]
    told = [f"It is at version {code(version)} now."]
    if new:
        told.append(f"New: {_named(new)}.")
    if gone:
        told.append(f"Gone: {_named(gone)}.")
    return (
        f":arrows_counterclockwise: *{escaped(one_line(title), 200)}* was changed in the catalog "
        f"while this form was open. {' '.join(told)} "
        "What you entered is kept; please look it over and submit again."
    )


# Bundles


def consists_of(always: Sequence[str], decided: Sequence[str]) -> str:
    """Tell what a bundle holds: always, and depending on answers."""
    told = []
    if always:
        told.append(f"It consists of {_named(always)}.")
    if decided:
        told.append(f"Your answers decide about {_named(decided)}.")
    return " ".join(told)


def fixed(values: Sequence[tuple[str, str]]) -> str:
    """Tell what a bundle gives a component, so that nobody is asked: labels and words."""
    told = [f"{escaped(one_line(label), 100)}: {code(words)}" for label, words in values]
    more = f" and {len(told) - 20} more" if len(told) > 20 else ""
    return f"Given by the bundle: {', '.join(told[:20])}{more}"


def known_later(components: Sequence[str]) -> str:
    """Plain. Tell where a value comes from that only the running request knows."""
    return f"from {', '.join(components)}, once it is there" if components else "once it runs"


LOOK_IT_OVER: Final = "*Please look it over.* Back leads to the pages before; nothing is made yet."


ANSWERS: Final = "Your answers"
NAME_BY_ITSELF: Final = "made of its kind and a number"
MOST_PROBLEMS: Final = 3
"""Steps of which a summary says why they would fail."""

THE_REST_IS_ON_ITS_PAGES: Final = "… and more than fits here: Back leads to all of it."


def and_more(count: int) -> str:
    """Tell that a list goes on."""
    return f"… and {count} more"


def entered(title: str, values: Sequence[tuple[str, str]]) -> list[str]:
    """Tell what was entered on a form's part, label and value, in lines."""
    told = [f"• {escaped(one_line(label), 100)}: {code(value)}" for label, value in values]
    return [f"*{escaped(one_line(title), 200)}*", *(told or ["Nothing is asked."])]


def will_run(view: RequestView) -> str:
    """Tell what a dry run found: steps, Terraform's plans, approvals, tickets; nothing of it was kept."""
    running = [step for step in view.steps if _found(step).get("runs") is not False]
    steps = [code(step.step_id, 150) for step in running]
    told = f":mag: *Will run: {len(steps)} step{'' if len(steps) == 1 else 's'}{_planned(running)}*"
    if steps:
        more = f" and {len(steps) - 15} more" if len(steps) > 15 else ""
        told += f": {', '.join(steps[:15])}{more}"
    else:
        told = ":mag: *No step runs by itself*: people do it, and a ticket tells them"
    needed = sum(one.needed for one in view.approvals)
    approval = f"\nBefore that it needs {needed} approval{'s' * (needed != 1)}." if needed else ""
    failing = [(code(one.step_id, 150), _found(one).get("problem")) for one in running]
    beside = _beside(view.rehearsal) if view.rehearsal else ()
    wrong = [(name, problem) for name, problem in (*failing, *beside) if problem]
    after = _after_a_failure(view.rehearsal) + _by_hand(view.rehearsal) if view.rehearsal else ""
    problems = (_would_fail(name, problem) for name, problem in wrong[:MOST_PROBLEMS])
    return "".join([f"{told}.{approval}{after}", *problems])


def _found(step: StepView) -> Mapping[str, Any]:
    return step.rehearsal or {}


def _after_a_failure(rehearsal: Rehearsal) -> str:
    """Tell what a rollback would run."""
    steps = [code(step.step_id, 150) for step in rehearsal.rollback]
    more = f" and {len(steps) - 15} more" if len(steps) > 15 else ""
    return f"\nAfter a failure: {', '.join(steps[:15])}{more}." if steps else ""


def _by_hand(rehearsal: Rehearsal) -> str:
    """Tell where people would be asked."""
    systems = [code(one, 100) for one in dict.fromkeys(map(_name, rehearsal.tickets))]
    more = f" and {len(systems) - 5} more" if len(systems) > 5 else ""
    return (
        f"\nWhat is left to people becomes a ticket in {', '.join(systems[:5])}{more}."
        if systems
        else ""
    )


def _beside(rehearsal: Rehearsal) -> Iterator[tuple[str, str | None]]:
    """Yield what else is rendered, and what is wrong with it."""
    for check in rehearsal.checks:
        yield f"The check {code(_name(check), 150)}", check.problem
    for ticket in rehearsal.tickets:
        yield f"The ticket in {code(_name(ticket), 150)}", ticket.problem
    for step in rehearsal.rollback:
        yield code(step.step_id, 150), _found(step).get("problem")


def _name(foreseen: ForeseenTemplate) -> str:
    return f"{foreseen.component}/{foreseen.name}" if foreseen.component else foreseen.name


def _planned(steps: Sequence[StepView]) -> str:
    """Tell what Terraform would change in all, where it could be asked."""
    plans = [plan for step in steps if (plan := _found(step).get("plan")) is not None]
    total = {
        verb: sum(plan.get(verb, 0) for plan in plans) for verb in ("add", "change", "destroy")
    }
    return f", Terraform plan {changes_in_words(total)}" if plans else ""


def _would_fail(name: str, problem: str) -> str:
    return f"\n:warning: {name} would fail: {escaped(one_line(problem), 500)}"


# Operations on an instance


def operations_of(instance: InstanceView, words: str) -> str:
    """Head the list of what can be done to an instance."""
    return (
        f"*{escaped(one_line(instance.instance_name), 200)}* {code(instance.instance_id)} is at "
        f"version {code(instance.catalog_version)}. {words}"
    )


NO_OPERATIONS: Final = "The catalog has no updates or upgrades for it."
CHOOSE_OPERATION: Final = "What is to be done?"


def eligible(operation: OperationView) -> str:
    """Tell of an operation that may be run now."""
    cost = [word for word in costs(operation) if word]
    words = f"\n{authored(one_line(operation.description), 400)}" if operation.description else ""
    return (
        f"*{escaped(operation.operation_name, 200)}* {escaped(operation.operation_version, 100)} "
        f"({operation.operation_type}){words}" + (f"\n{' · '.join(cost)}" if cost else "")
    )


def ineligible(operation: OperationView) -> str:
    """Tell why an operation may not be run now."""
    reason = escaped(operation.reason or "it is not eligible", 500)
    return (
        f":no_entry_sign: {escaped(operation.operation_name, 200)} "
        f"{escaped(operation.operation_version, 100)}: {reason}"
    )


def path_of(steps: Sequence[OperationView]) -> str:
    """Propose upgrades that lead on from each other, in their order."""
    names = " → ".join(code(f"{one.operation_name} {one.operation_version}") for one in steps[:10])
    return f":railway_track: A way ahead, one after the other: {names}"


def costs(operation: OperationView) -> list[str]:
    """Return what an operation costs beside work: resources, time without service."""
    told = []
    if operation.destructive:
        told.append(":warning: destroys or replaces resources")
    if operation.downtime_required:
        told.append(":warning: the service is down meanwhile")
    if operation.estimated_duration:
        told.append(f"takes about {escaped(operation.estimated_duration, 50)}")
    return told


def about_operation(form: OperationForm) -> list[str]:
    """Return the paragraphs before a form of an update or upgrade: what it does, costs and needs."""
    instance, operation = form.instance, form.operation
    versions = f" {code(instance.catalog_version)}"
    if form.to_version and form.to_version != instance.catalog_version:
        versions += f" → {code(form.to_version)}"
    what = f"{operation.operation_type.capitalize()} of *{escaped(one_line(instance.instance_name), 200)}*"
    told = [f"{what} {code(instance.instance_id)}, version{versions}."]
    if costs(operation):
        told.append("\n".join(_sentence(word) for word in costs(operation)))
    if form.prerequisites:
        lines = "\n".join(f"• {authored(one, 300)}" for one in form.prerequisites[:8])
        told.append(f"*What must be so before*\n{lines}")
    if form.notes:
        told.append(f"*Notes*\n{authored(form.notes, 2000)}")
    return told


# The end of a service


def free_to_go(instance: InstanceView) -> str:
    """Tell that an instance may be decommissioned."""
    return (
        f":white_check_mark: Nothing needs *{escaped(one_line(instance.instance_name), 200)}* "
        f"{code(instance.instance_id)}: it can be decommissioned."
    )


def blocked(instance: InstanceView, check: DecommissionCheck) -> list[str]:
    """Tell why an instance may not be decommissioned: who needs it, and whom to ask; in lines."""
    name = f"*{escaped(one_line(instance.instance_name), 200)}* {code(instance.instance_id)}"
    reason = f": {escaped(check.reason, 500).rstrip('.')}" if check.reason else ""
    lines = [blocker(one, instance.instance_id) for one in check.blocking_instances[:15]]
    more = len(check.blocking_instances) - len(lines)
    told = [f":no_entry: {name} cannot be decommissioned{reason}.", *lines]
    if more > 0:
        told.append(f"… and {more} more")
    if lines:
        told.append("Ask their owners to let go of it first; then try again.")
    return told


def blocker(one: Mapping[str, Any], asked: str) -> str:
    """Return one service that stands in the way of the instance `asked`, with its owner."""
    needs = str(one.get("needs") or asked)
    which = f" needs {code(needs)}" if needs != asked else ""
    return (
        f"• *{escaped(one_line(str(one.get('instance_name', ''))), 150)}* "
        f"{code(str(one.get('instance_id', '')))}{which} · {mention(str(one.get('owner_user_id', '')))}"
        f", team *{escaped(str(one.get('owner_team', '')), 100)}*"
    )


def decommission_warning(instance: InstanceView) -> str:
    """Tell what a decommission does."""
    members = f" Its {len(instance.members)} members go first." if instance.members else ""
    return (
        f":warning: *{escaped(one_line(instance.instance_name), 200)}* {code(instance.instance_id)} "
        f"and what belongs to it will be taken down for good, with its data.{members} "
        "This cannot be undone."
    )


def decommissioning(view: RequestView) -> str:
    """Confirm that a decommission was submitted."""
    return (
        f":wastebasket: {code(view.request_id)} is on its way: *{escaped(one_line(view.title), 200)}*. "
        "Its thread tells how."
    )


# Requests that go on with other parameters


def about_changes(view: RequestView, step: str | None) -> str:
    """Tell what a form with the parameters of a failed request is for."""
    where = f"from the step *{escaped(step, 200)}*" if step else "from where it failed"
    return (
        f"{code(view.request_id)}: *{escaped(one_line(view.title), 200)}* goes on {where}, with what "
        "you enter here. Steps that are done are not run again."
    )


def cloned(request_id: str, dropped: Sequence[str]) -> str:
    """Tell that a form is filled from an earlier request, and what could not be taken over."""
    gone = f" Gone from the form since then: {_named(dropped)}." if dropped else ""
    return f":page_facing_up: Filled from {code(request_id)}. Secrets are not taken over.{gone}"


def starts_at(view_at: Any) -> str:
    """Tell when what is ordered will begin."""
    return f":alarm_clock: It will begin not before {moment(view_at)}."


def _named(titles: Sequence[str]) -> str:
    shown = ", ".join(f"*{escaped(one_line(title), 100)}*" for title in titles[:20])
    return shown + (f" and {len(titles) - 20} more" if len(titles) > 20 else "")


def _sentence(words: str) -> str:
    return f"{words}."
