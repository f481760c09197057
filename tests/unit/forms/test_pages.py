"""A form as views: within Slack's limits whatever the document, and nothing lost on the way."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.forms.errors import sort_out
from bot.forms.form import Filled, Form, form_of, shown, untouched
from bot.forms.meta import Meta
from bot.forms.pages import draw, page_of, pages
from bot.forms.places import place_of
from bot.forms.reading import asked_by, read_view
from bot.forms.submitting import submission
from bot.messages.text import escaped
from bot.playground.limits import check_view
from engine import Actor, FieldError
from tests.support.forms import ADA, GRACE, details, labels, texts, view_of

Json = Any


def form(*fields: dict[str, Json], actor: Actor = ADA, **changes: Json) -> Form:
    return form_of(details({"fields": list(fields)}, **changes), actor)


def meta(of: Form, page: int = 0) -> Meta:
    return Meta(of.kind, of.name, of.content_hash, "C0OPS", page)


SIZE = {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
DISK = {
    "name": "disk",
    "type": "integer",
    "required": True,
    "conditional": {"field": "size", "value": "large"},
}


def test_the_name_comes_first_and_one_team_is_no_question() -> None:
    asked = form(SIZE)

    view = view_of(asked, untouched(asked, ADA))

    assert labels(view) == ["Instance name", "Size"]
    assert view["submit"]["text"] == "Submit"


def test_several_teams_are_a_question() -> None:
    asked = form(SIZE, actor=GRACE)
    view = view_of(asked, untouched(asked, GRACE))

    assert labels(view) == ["Instance name", "Team", "Size"]
    assert untouched(asked, GRACE).team is None


def test_each_dependency_is_asked_for_by_its_own_name() -> None:
    dependency = {"name": "primary-db", "catalog_item": "postgres-database", "required": False}
    asked = form(SIZE, dependencies=[dependency])
    view = view_of(asked, Filled(dependencies={"primary-db": "si-1"}))

    assert "Connect to: primary-db" in labels(view)
    assert read_view(asked, view, Filled()).dependencies == {"primary-db": "si-1"}


def test_a_field_is_asked_only_when_its_condition_holds() -> None:
    asked = form(SIZE, DISK)

    assert shown(asked, untouched(asked, ADA)) == {"size"}
    assert shown(asked, Filled(values={"size": "large"})) == {"size", "disk"}
    assert labels(view_of(asked, Filled(values={"size": "large"})))[-1] == "Disk"


def test_a_controller_tells_its_changes_at_once() -> None:
    asked = form(SIZE, DISK)
    blocks = {b.get("block_id"): b for b in view_of(asked, untouched(asked, ADA))["blocks"]}

    assert blocks["field:size"]["dispatch_action"] is True


def test_the_value_of_a_field_that_went_away_is_not_handed_in() -> None:
    asked = form(SIZE, DISK)
    filled = Filled(values={"size": "small", "disk": "20"}, texts=frozenset({"disk"}))

    handed_in = submission(asked, filled, idempotency_key="k", origin_channel="C0OPS")

    assert handed_in.parameters == {"size": "small"}
    assert handed_in.texts == frozenset()


def test_an_emptied_field_is_handed_in_as_empty_not_as_its_default() -> None:
    asked = form({"name": "note", "type": "string", "default": "hello"})
    view = view_of(asked, untouched(asked, ADA))
    view["state"]["values"]["field:note"]["field"]["value"] = None

    filled = read_view(asked, view, untouched(asked, ADA))

    handed_in = submission(asked, filled, idempotency_key=None, origin_channel=None)
    assert handed_in.parameters == {"note": None}


def test_readonly_fields_are_shown_as_text_and_hidden_ones_not_at_all() -> None:
    asked = form(
        {"name": "region", "type": "string", "default": "eu-1", "readonly": True},
        {"name": "trace", "type": "string", "default": "on", "hidden": True},
        SIZE,
    )
    view = view_of(asked, untouched(asked, ADA))

    assert labels(view) == ["Instance name", "Size"]
    assert "eu-1" in texts(view)
    assert "trace" not in str(view["blocks"]).casefold()
    handed_in = submission(asked, untouched(asked, ADA), idempotency_key=None, origin_channel=None)
    assert set(handed_in.parameters) == {"size"}


def test_a_deprecated_item_names_its_replacement() -> None:
    asked = form(SIZE, lifecycle="deprecated", replaced_by="postgres-17")

    assert "postgres-17" in texts(view_of(asked, untouched(asked, ADA)))


def test_groups_are_headed() -> None:
    groups = [{"name": "disk_space", "fields": [SIZE]}]
    asked = form_of(details({"groups": groups}), ADA)
    headers = [
        block["text"]["text"]
        for block in view_of(asked, untouched(asked, ADA))["blocks"]
        if block["type"] == "header"
    ]

    assert headers == ["Disk space"]


def many(count: int) -> list[dict[str, Json]]:
    return [{"name": f"field_{n}", "type": "string"} for n in range(count)]


def test_what_does_not_fit_goes_to_the_next_page() -> None:
    asked = form(*many(150))
    every = pages(asked, Filled())

    assert len(every) == 2
    assert sorted(name for page in every for name in page.names) == sorted(
        one.name for one in asked.fields
    )
    first, last = view_of(asked, Filled()), view_of(asked, Filled(), page=1)
    assert first["submit"]["text"] == "Next"
    assert last["submit"]["text"] == "Submit"
    assert "Instance name" not in labels(last)
    assert page_of(asked, Filled(), "field_149") == 1


def test_a_group_that_fits_on_one_page_is_not_torn_apart() -> None:
    groups = [
        {"name": "one", "fields": many(60)},
        {"name": "two", "fields": [{"name": f"b{n}", "type": "string"} for n in range(60)]},
    ]
    asked = form_of(details({"groups": groups}), ADA)

    assert [[part.heading for part in page.sections] for page in pages(asked, Filled())] == [
        ["One"],
        ["Two"],
    ]


def test_entries_of_other_pages_are_kept() -> None:
    asked = form(*many(150))
    view = view_of(asked, Filled(values={"field_149": "last"}), page=1)
    earlier = Filled(instance_name="mine", team="platform", values={"field_0": "first"})

    filled = read_view(asked, view, earlier)

    assert filled.instance_name == "mine"
    assert filled.values["field_0"] == "first"
    assert filled.values["field_149"] == "last"


def test_a_page_number_out_of_range_is_brought_back() -> None:
    asked = form(SIZE)
    view = draw(asked, Filled(), meta(asked, 7))

    assert Meta.unpacked(view["private_metadata"]).page == 0


def test_errors_stand_under_their_fields_and_those_of_other_pages_lead_there() -> None:
    asked = form(*many(150))
    view = view_of(asked, Filled())
    errors = [
        FieldError("field_0", "A value is needed here.", "required"),
        FieldError("field_149", "This is too long.", "too_long"),
        FieldError("instance_name", "This name is taken.", "taken"),
    ]

    found = sort_out(asked, errors, asked_by(view))

    assert found.here == {
        "field:field_0": "A value is needed here.",
        "instance_name": "This name is taken.",
    }
    assert found.page(asked, Filled()) == 1


def test_metadata_of_another_release_is_refused_in_words() -> None:
    for text in ('{"kind":"X","name":"y","surprise":1}', "not json"):
        try:
            Meta.unpacked(text)
        except ValueError:
            continue
        raise AssertionError(text)


def test_the_longest_names_fit_into_the_metadata() -> None:
    packed = Meta("CatalogBundle", "n" * 255, "h" * 64, "C" * 20, 99, "s" * 36).packed()

    assert len(packed) <= 3000
    assert Meta.unpacked(packed).session == "s" * 36


NAMES = st.from_regex(r"f_[a-z0-9_]{0,30}", fullmatch=True)
FIELDS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"name": NAMES, "type": st.sampled_from(["string", "textarea", "boolean", "date"])}
        ),
        st.fixed_dictionaries(
            {
                "name": NAMES,
                "type": st.just("selection"),
                "oneof": st.integers(1, 100).map(
                    lambda n: [
                        {"value": i, "label": "ü" * 75, "description": "d" * 75} for i in range(n)
                    ]
                ),
            }
        ),
    ),
    max_size=130,
    unique_by=lambda one: one["name"],
)


@settings(max_examples=25, deadline=None)
@given(FIELDS)
def test_slack_takes_every_page_and_no_field_is_lost(fields: list[dict[str, Json]]) -> None:
    asked = form(*fields)
    every = pages(asked, Filled())
    drawn: set[str] = set()
    for at in range(len(every)):
        drawn |= asked_by(view_of(asked, Filled(), at))

    assert {place_of(one.name) for one in asked.fields} <= drawn


@given(st.text(min_size=1, max_size=400))
def test_no_title_is_too_long_for_slack(title: str) -> None:
    asked = form(SIZE, display_name=title)

    check_view(draw(asked, Filled(), meta(asked)), "modal")
    assert escaped(title, 50)
