"""A bundle's form: its own page, one for each component that is on, a summary; nothing lost."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.forms.errors import sort_out
from bot.forms.form import Filled, Form, connections, enabled, form_of, shown, untouched
from bot.forms.pages import pages
from bot.forms.places import CHOICE_BLOCK, place_of
from bot.forms.reading import asked_by, read_view
from bot.forms.submitting import submission
from bot.messages import asking
from engine import (
    SECRET_DOTS,
    ApprovalView,
    ComponentForm,
    FieldError,
    RequestView,
    StepView,
    Submission,
)
from tests.support.forms import ADA, component, details, labels, texts, view_of

Json = Any

NAME = {"name": "solution_name", "type": "string", "required": True}
WITH_CACHE = {"name": "with_cache", "type": "boolean", "default": False}
SIZE = {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
DISK = {
    "name": "disk",
    "type": "integer",
    "required": True,
    "conditional": {"field": "size", "value": "large"},
}
PASSWORD = {"name": "password", "type": "secret", "required": True}
DATABASE = component("database", SIZE, DISK, PASSWORD)
APP = component("app", SIZE, fixed={"size": "large"})
CACHE = component(
    "cache", SIZE, required=False, enabled_when={"field": "with_cache", "value": True}
)
MONITOR = component("monitor", SIZE, required=False, enabled=True)
BACKUP = component("backup", SIZE, required=False)


def bundle(
    *components: ComponentForm, fields: tuple[dict[str, Json], ...] = (NAME, WITH_CACHE)
) -> Form:
    document = details(
        {"bundle_fields": list(fields)},
        kind="CatalogBundle",
        name="web-application",
        display_name="Web application",
    )
    return form_of(document, ADA, components=[(one, {}) for one in components])


def handed_in(form: Form, filled: Filled) -> Submission:
    return submission(form, filled, idempotency_key=None, origin_channel=None)


def test_its_own_page_comes_first_then_one_for_each_component_then_the_summary() -> None:
    form = bundle(DATABASE, MONITOR, BACKUP)
    filled = untouched(form, ADA)
    every = pages(form, filled)

    assert [page.part.key if page.part else "summary" for page in every] == [
        "",
        "database",
        "monitor",
        "summary",
    ]
    assert labels(view_of(form, filled)) == [
        "Instance name",
        "Optional items",
        "Solution name",
        "With cache",
    ]
    assert labels(view_of(form, filled, 1)) == ["Size", "Password"]
    assert "Page 2 of 4" in texts(view_of(form, filled, 1))


def test_optional_items_are_on_by_default_by_choice_or_by_a_condition() -> None:
    form = bundle(DATABASE, CACHE, MONITOR, BACKUP)
    filled = untouched(form, ADA)

    assert enabled(form, filled) == {"database", "monitor"}
    view = view_of(form, filled)
    chosen = view["state"]["values"][CHOICE_BLOCK]["field"]["selected_options"]
    assert [one["value"] for one in chosen] == ["monitor"]
    view["state"]["values"][CHOICE_BLOCK]["field"]["selected_options"] = [{"value": "backup"}]
    view["state"]["values"]["field:with_cache"]["field"]["selected_options"] = [{"value": "true"}]

    again = read_view(form, view, filled)

    assert enabled(form, again) == {"database", "cache", "backup"}


def test_what_is_handed_in_holds_every_component_and_nothing_of_those_that_are_off() -> None:
    form = bundle(DATABASE, CACHE)
    filled = Filled(
        values={
            "solution_name": "orders",
            "with_cache": False,
            "database.size": "large",
            "database.disk": "20",
            "database.password": "hunter2-hunter2",
            "cache.size": "large",
        },
        texts=frozenset({"database.disk"}),
    )

    submitted = handed_in(form, filled)

    assert submitted.bundle == "web-application"
    assert submitted.parameters == {"solution_name": "orders", "with_cache": False}
    assert submitted.components == {
        "database": {
            "enabled": True,
            "parameters": {"size": "large", "disk": "20", "password": "hunter2-hunter2"},
        },
        "cache": {"enabled": False, "parameters": {}},
    }
    assert submitted.texts == {"database.disk"}


def test_what_the_bundle_fixes_is_shown_and_not_asked_and_decides_conditions() -> None:
    fixed = component("database", SIZE, DISK, fixed={"size": "large"})
    form = bundle(fixed)
    filled = untouched(form, ADA)
    view = view_of(form, filled, 1)

    assert labels(view) == ["Disk"]
    assert "Given by the bundle: Size: `large`" in texts(view)
    assert set(handed_in(form, filled).components["database"]["parameters"]) == {"disk"}
    assert "database.disk" not in shown(bundle(component("database", SIZE, DISK)), filled)


def test_a_condition_on_what_only_the_submission_renders_asks_and_demands_nothing() -> None:
    form = bundle(component("database", SIZE, DISK, fixed={"size": "{{ solution_name }}"}))
    view = view_of(form, untouched(form, ADA), 1)

    [disk] = [block for block in view["blocks"] if block["type"] == "input"]
    assert disk["optional"] is True


def test_what_only_the_run_knows_is_told_in_words() -> None:
    late = replace(
        component(
            "app", SIZE, NAME, fixed={"solution_name": "{{ components.database.outputs.x }}"}
        ),
        late={"solution_name": ["database"]},
    )
    form = bundle(late)
    told = texts(view_of(form, untouched(form, ADA), 1))

    assert "Solution name: `from database, once it is there`" in told
    assert "{{" not in told


def test_a_component_that_asks_nothing_has_no_page() -> None:
    form = bundle(APP)

    assert [page.is_summary for page in pages(form, untouched(form, ADA))] == [False, True]


def test_the_same_item_twice_is_asked_twice_and_apart() -> None:
    form = bundle(component("one", SIZE), component("two", SIZE))
    filled = untouched(form, ADA)
    view = view_of(form, filled, 1)
    view["state"]["values"]["component:one:size"]["field"]["selected_option"] = {"value": "large"}

    filled = read_view(form, view, filled)

    assert filled.values["one.size"] == "large"
    assert filled.values["two.size"] == "small"


def test_an_error_of_a_component_leads_to_its_page_and_stands_under_its_field() -> None:
    form = bundle(DATABASE, MONITOR)
    filled = untouched(form, ADA)
    error = FieldError("database.password", "A secret is needed here.", "required")

    elsewhere = sort_out(form, [error], asked_by(view_of(form, filled, 2)))
    here = sort_out(form, [error], asked_by(view_of(form, filled, 1)))

    assert elsewhere.page(form, filled) == 1
    assert here.here == {"component:database:password": "A secret is needed here."}


def test_an_error_of_a_connection_stands_under_it() -> None:
    needed = {"name": "primary-db", "catalog_item": "postgres-database"}
    form = form_of(details({"fields": [NAME]}, dependencies=[needed]), ADA)
    asked = asked_by(view_of(form, untouched(form, ADA)))

    for name in ("primary-db", "dependencies.primary-db"):
        found = sort_out(form, [FieldError(name, "An instance is needed.", "required")], asked)
        assert found.here == {"dependency:primary-db": "An instance is needed."}


def test_the_summary_tells_everything_by_its_label_and_no_secret() -> None:
    form = bundle(DATABASE, APP)
    filled = Filled(
        instance_name="shop",
        values={"solution_name": "orders", "database.password": "hunter2-hunter2"},
    )
    told = texts(view_of(form, filled, len(pages(form, filled)) - 1))

    assert "Solution name: `orders`" in told
    assert "Instance name: `shop`" in told
    assert f"Password: `{SECRET_DOTS}`" in told
    assert "hunter2" not in told
    assert "Size: `large`" in told


NEEDS = {"name": "db", "catalog_item": "database-item", "version": ">=1.0.0"}


def needing(provided_by: str | None) -> ComponentForm:
    provided = {"db": provided_by} if provided_by else {}
    return component("app", SIZE, dependencies=[NEEDS], provided=provided)


def test_a_component_asks_for_the_service_that_no_other_component_provides() -> None:
    alone, served = bundle(needing(None)), bundle(DATABASE, needing("database"))

    view = view_of(alone, untouched(alone, ADA), 1)
    assert labels(view) == ["Connect to: db", "Size"]
    assert labels(view_of(served, untouched(served, ADA), 2)) == ["Size"]

    optional = component("database", SIZE, required=False)
    either = bundle(optional, needing("database"))
    filled = untouched(either, ADA)
    assert connections(either, filled) == {"app.db"}
    chosen = replace(filled, chosen={"database": True}, dependencies={"app.db": "si-1"})
    assert connections(either, chosen) == frozenset()
    assert handed_in(either, chosen).dependencies == {}


def test_the_service_of_a_component_comes_back_and_its_error_stands_under_it() -> None:
    form = bundle(needing(None))
    filled = Filled(dependencies={"app.db": "si-1"}, values={"app.size": "small"})
    view = view_of(form, filled, 1)

    assert read_view(form, view, Filled()).dependencies == {"app.db": "si-1"}
    assert handed_in(form, filled).dependencies == {"app.db": "si-1"}
    error = FieldError("app.db", "An instance is needed.", "required")
    assert sort_out(form, [error], asked_by(view)).here == {
        "dependency-of:app:db": "An instance is needed."
    }
    assert sort_out(form, [error], frozenset()).page(form, filled) == 1


def test_many_optional_items_become_a_menu() -> None:
    form = bundle(*(component(f"item{n}", SIZE, required=False) for n in range(30)))
    view = view_of(form, untouched(form, ADA))
    [choice] = [b for b in view["blocks"] if b.get("block_id") == CHOICE_BLOCK]

    assert choice["element"]["type"] == "multi_static_select"


def test_the_summary_says_what_will_run_and_whose_word_it_waits_for() -> None:
    steps = [step("database/create"), step("app/deploy")]
    approvals = [ApprovalView(None, "waiting", [{"team": "dba"}], 2, [])]

    told = asking.will_run(request(steps=steps, approvals=approvals))
    by_people = asking.will_run(request())

    assert "*Will run: 2 steps*: `database/create`, `app/deploy`." in told
    assert "Before that it needs 2 approvals." in told
    assert "No step runs by itself" in by_people


def step(name: str) -> StepView:
    waiting: dict[str, Json] = dict.fromkeys(("started_at", "completed_at", "outputs"))
    return StepView(name, name, "HttpPost", "pending", (), attempts=[], tickets=[], **waiting)


def request(**changes: Json) -> RequestView:
    """A request as a dry run gives it."""
    whole: dict[str, Json] = dict.fromkeys(one.name for one in dataclass_fields(RequestView))
    return RequestView(**whole | {"steps": [], "approvals": []} | changes)


NAMES = st.text(min_size=1, max_size=255).filter(lambda text: text.strip())
FIELD_LISTS = st.integers(0, 100).map(
    lambda count: [
        {"name": f"field_{n}", "type": "string", "label": "ü" * 90} for n in range(count)
    ]
)
COMPONENTS = st.lists(
    st.builds(
        lambda name, fields, required, enabled: component(
            name, *fields, required=required, enabled=enabled, display_name=name
        ),
        NAMES,
        FIELD_LISTS,
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda one: one.name,
)


@settings(max_examples=25, deadline=None)
@given(COMPONENTS)
def test_slack_takes_every_page_of_a_bundle_and_no_field_is_lost(
    components: list[ComponentForm],
) -> None:
    form = bundle(*components)
    filled = untouched(form, ADA)
    drawn: list[str] = []
    for at in range(len(pages(form, filled))):
        drawn += asked_by(view_of(form, filled, at))

    assert {place_of(name) for name in shown(form, filled)} <= set(drawn)
    assert len(drawn) == len(set(drawn))


@settings(max_examples=25, deadline=None)
@given(COMPONENTS, st.data())
def test_every_value_comes_back_from_the_page_that_asked_it(
    components: list[ComponentForm], data: st.DataObject
) -> None:
    form = bundle(*components)
    filled = untouched(form, ADA)
    count = len(pages(form, filled))
    for at in data.draw(st.permutations(range(count))):
        view = view_of(form, filled, at)
        for block, entry in (view["state"]["values"] or {}).items():
            if block.startswith(("component:", "field#")):
                entry["field"]["value"] = block
        filled = read_view(form, view, filled)

    for part in form.components:
        for one in part.fields:
            name = part.name_of(one)
            if name in shown(form, filled):
                assert filled.values[name] == place_of(name)
