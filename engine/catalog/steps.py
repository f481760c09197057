"""The steps of a document: one model a type, what all have in common, and the order they run in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from engine.catalog.fields import FieldSpec
from engine.catalog.scalars import (
    Duration,
    Json,
    Many,
    Model,
    OneOrMany,
    StepName,
    Text,
    Timespan,
    wrong,
)
from engine.catalog.tickets import Headers, JiraTemplate, Template
from engine.catalog.verification import Verifications


class RetryPolicy(Model):
    """How a failed attempt is repeated. A step's policy overrides the sequence's key by key."""

    max_attempts: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Attempts in all."
    )
    backoff_strategy: Literal["fixed", "linear", "exponential"] | None = Field(
        None, description="How the wait grows."
    )
    initial_delay: Duration | None = Field(None, description="The first wait.")
    max_delay: Duration | None = Field(None, description="The longest wait.")
    max_duration: Timespan | None = Field(None, description="Bounds all attempts together.")


class Approver(Model):
    """Who may approve: one of a user group, a user, a team."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    usergroup: str | None = Field(None, min_length=1, description="A Slack user group's handle.")
    user: str | None = Field(None, min_length=1, description="A Slack user id.")
    team: str | None = Field(None, min_length=1, description="A team's name.")


def _approver(value: object) -> object:
    if isinstance(value, dict) and len(value) != 1:
        raise wrong(
            "invalid-approver", "an approver is one of usergroup, user and team", _APPROVERS
        )
    return value


_APPROVERS: Final = "{usergroup: NAME}, {user: ID} or {team: NAME}"
Approvers = Annotated[Many[Annotated[Approver, BeforeValidator(_approver)]], Field(min_length=1)]
ApprovalCount = Annotated[int, Field(ge=1, le=100)]


class OutputPath(Model):
    """Where an output's value is found, and what it is when nothing is found."""

    path: Template = Field(description="JSONPath.")
    default: Json = Field(None, description="The value when the path finds nothing.")


Outputs = Many[StepName] | dict[str, Template | OutputPath]


class Bearer(Model):
    """A token in the Authorization header."""

    type: Literal["bearer"]
    token: Template = Field(description="The token; most often a secret.")


class Basic(Model):
    """Name and password in the Authorization header."""

    type: Literal["basic"]
    username: Template = Field(description="The name.")
    password: Text = Field(description="The password; most often a secret.")


class ApiKey(Model):
    """A key in a header of its own."""

    type: Literal["api_key"]
    header: Template = Field(description="The header's name.")
    value: Template = Field(description="The key; most often a secret.")


Authentication = Annotated[Bearer | Basic | ApiKey, Field(discriminator="type")]


class Match(Model):
    """A value of the answer that tells how far the work is."""

    json_path: Template = Field(description="Where to look.")
    matches: Text | Many[Text] = Field(description="A pattern, or a list of values.")


class Asynchronous(Model):
    """How an operation that goes on after the answer is followed."""

    location: Text | None = Field(None, description="Header or JSONPath with the address to ask.")
    done: Match | None = Field(None, description="When the operation is done.")
    failed: Match | None = Field(None, description="When the operation has failed.")
    interval: Timespan | None = Field(None, description="Time between two questions.")
    timeout: Timespan | None = Field(None, description="How long to ask.")


class TerraformTemplate(Model):
    """What Terraform runs."""

    module_source: Template = Field(
        description="A path from the repository's root, or an allowed registry or Git source."
    )
    variables: dict[str, Json] | None = Field(None, description="The module's variables.")
    backend_config: dict[str, Json] | None = Field(
        None, description="A backend other than PAO's own."
    )
    version: Text | None = Field(None, description="Version constraint of a registry module.")
    state: Template | None = Field(None, description="Name of the state; default: the step's name.")


class GitHubTemplate(Model):
    """Which workflow is dispatched."""

    repository: Template = Field(description="owner/name.")
    workflow_id: Template | int = Field(description="The workflow's file name or id.")
    ref: Text = Field("main", description="Branch or tag.")
    inputs: dict[str, Json] | None = Field(None, description="The workflow's inputs.")
    correlation_input: Template | None = Field(
        None, description="An input that takes PAO's id of the run."
    )


class HttpTemplate(Model):
    """What is called."""

    url: Template = Field(description="The address.")
    headers: Headers | None = Field(None, description="Request headers; may name secrets.")
    body: Json = Field(None, description="The body; a structure is sent as JSON.")
    authentication: Authentication | None = Field(None, description="Who calls.")
    async_: bool | Asynchronous = Field(
        False, alias="async", description="Whether the work goes on after the answer."
    )
    retry_on_unknown: bool = Field(
        True, description="Whether a lost answer may be followed by a second call."
    )


class ApprovalTemplate(Model):
    """Whom the step waits for."""

    approvers: Approvers = Field(description="Who may approve.")
    count: ApprovalCount = Field(1, description="How many must.")
    expires: Timespan | None = Field(None, description="How long the step waits.")
    message: Text | None = Field(None, description="What the approvers read.")
    fields: Many[FieldSpec] | None = Field(None, description="What the approver fills in.")


_TEMPLATE: Final = "What the step does; texts may be templates."


class BaseStep(Model):
    """What every step has."""

    name: StepName = Field(description="Unique in its sequence; templates use it.")
    type: Template = Field(description="The type of the step.")
    template: Any = Field(None, description=_TEMPLATE)
    depends_on: Annotated[Many[StepName], OneOrMany()] | None = Field(
        None, description="Steps that come first; default: the step before."
    )
    when: bool | Text | None = Field(
        None, description="An expression; when false the step is skipped."
    )
    retry_policy: RetryPolicy | None = Field(None, description="Overrides the sequence's policy.")
    timeout: Timespan | None = Field(None, description="Of one attempt, its verification included.")
    verification: Verifications = Field((), description="One verification or a list.")
    outputs: Outputs | None = Field(None, description="Names, or names with JSONPaths.")

    @property
    def declared_outputs(self) -> tuple[str, ...] | None:
        """The outputs that the document names; None where it names none."""
        return None if self.outputs is None else tuple(self.outputs)


class TerraformStep(BaseStep):
    """Terraform or OpenTofu applies a module."""

    type: Literal["TerraformFile"]
    template: TerraformTemplate = Field(description=_TEMPLATE)


class GitHubStep(BaseStep):
    """A GitHub Actions workflow is run."""

    type: Literal["GitHubWorkflow"]
    template: GitHubTemplate = Field(description=_TEMPLATE)


class HttpStep(BaseStep):
    """An HTTP service is called."""

    type: Literal["HttpPost", "HttpPut", "HttpGet", "HttpPatch", "HttpDelete"]
    template: HttpTemplate = Field(description=_TEMPLATE)


class JiraStep(BaseStep):
    """A Jira issue is made."""

    type: Literal["JiraTicket"]
    template: JiraTemplate = Field(description=_TEMPLATE)


class ApprovalStep(BaseStep):
    """The sequence waits for people."""

    type: Literal["approval"]
    template: ApprovalTemplate = Field(description=_TEMPLATE)


HTTP_TYPES: Final = ("HttpPost", "HttpPut", "HttpGet", "HttpPatch", "HttpDelete")
STEP_TYPES: Final = ("TerraformFile", "GitHubWorkflow", *HTTP_TYPES, "JiraTicket", "approval")
"""The step types that need no plug-in."""


class PluginStep(BaseStep):
    """A step whose type comes from a plug-in."""

    type: Template = Field(
        description="The plug-in's name.", json_schema_extra={"not": {"enum": list(STEP_TYPES)}}
    )
    template: dict[str, Json] = Field(default_factory=dict, description=_TEMPLATE)


def _tag(value: Any) -> str | None:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(name, str):
        return None
    if name in HTTP_TYPES:
        return "http"
    return name if name in STEP_TYPES else "plugin"


Step = Annotated[
    Annotated[TerraformStep, Tag("TerraformFile")]
    | Annotated[GitHubStep, Tag("GitHubWorkflow")]
    | Annotated[HttpStep, Tag("http")]
    | Annotated[JiraStep, Tag("JiraTicket")]
    | Annotated[ApprovalStep, Tag("approval")]
    | Annotated[PluginStep, Tag("plugin")],
    Discriminator(_tag),
]


def step_graph(steps: Sequence[BaseStep]) -> dict[str, tuple[str, ...]]:
    """Return what each step waits for, by name: its `depends_on`, else the step before it."""
    graph: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for step in steps:
        graph[step.name] = before if step.depends_on is None else step.depends_on
        before = (step.name,)
    return graph


def everything_before(graph: Mapping[str, Sequence[str]], name: str) -> frozenset[str]:
    """Return all that `name` waits for, directly or not; names outside the graph are left out."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for other in graph.get(waiting.pop(), ()):
            if other in graph and other not in seen:
                seen.add(other)
                waiting.append(other)
    return frozenset(seen)


def find_cycle(graph: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """Return one cycle as the names along it, the first repeated at the end; None without one."""
    return next(find_cycles(graph), None)


def find_cycles(graph: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield cycles as `find_cycle` returns one, no name in two of them; each name is met once."""
    done: set[str] = set()
    for start in graph:
        path: dict[str, None] = {}
        stack = [iter((start,))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                if path:
                    done.add(path.popitem()[0])
            elif name in path:
                names = tuple(path)
                cycle = names[names.index(name) :]
                yield (*cycle, name)
                done.update(cycle)
                for one in cycle:
                    del path[one]
                del stack[-len(cycle) :]
            elif name not in done and name in graph:
                path[name] = None
                stack.append(iter(graph[name]))
