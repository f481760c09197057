"""What `--param` and `--params` make of what was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.parameters import LARGEST_FILE, ParameterOptions
from engine.errors import InvalidInput


def read(*params: str, file: str | None = None, secrets: tuple[str, ...] = ()):
    return ParameterOptions(file, params).read(secrets)


def test_a_value_stays_text_until_its_field_reads_it():
    given = read("size=2")
    assert given.values == {"size": "2"}
    assert given.texts == {"size"}


def test_a_repeated_option_is_a_list():
    assert read("zone=a", "zone=b").values == {"zone": ["a", "b"]}


def test_a_value_may_hold_equals_signs():
    assert read("query=a=b").values == {"query": "a=b"}


def test_an_option_on_the_command_line_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "parameters.yml"
    file.write_text("size: 1\nname: from-file\n")
    given = read("size=2", file=str(file))
    assert given.values == {"size": "2", "name": "from-file"}
    assert given.texts == {"size"}


def test_json_is_read_as_well(tmp_path: Path):
    file = tmp_path / "parameters.json"
    file.write_text('{"size": 3, "tags": ["a"]}')
    assert read(file=str(file)).values == {"size": 3, "tags": ["a"]}


def test_dependencies_and_components_of_a_file_are_no_parameters(tmp_path: Path):
    file = tmp_path / "parameters.yml"
    file.write_text("dependencies: {primary: si-1}\ncomponents: {db: {enabled: true}}\nsize: 1\n")
    given = read(file=str(file))
    assert given.values == {"size": 1}
    assert given.dependencies == {"primary": "si-1"}
    assert given.components == {"db": {"enabled": True}}


@pytest.mark.parametrize("param", ["size", "=2"])
def test_what_is_no_pair_is_refused_with_an_example(param: str):
    with pytest.raises(InvalidInput, match="Write --param name=value"):
        read(param)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated():
    with pytest.raises(InvalidInput) as refused:
        read("password=hunter2", secrets=("password",))
    assert "hunter2" not in str(refused.value)
    assert "--param password=@FILE" in str(refused.value)
    assert refused.value.field == "password"


def test_a_secret_comes_from_a_file(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    assert read(f"password=@{file}", secrets=("password",)).values == {"password": "hunter2"}


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match="No such file"):
        read(f"password=@{tmp_path}/none")


def test_a_huge_file_is_refused(tmp_path: Path):
    file = tmp_path / "huge"
    file.write_text("x" * (LARGEST_FILE + 1))
    with pytest.raises(InvalidInput, match="too large"):
        read(f"text=@{file}")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "a: 1\na: 2\n"])
def test_a_file_that_is_no_mapping_is_refused_with_its_place(tmp_path: Path, text: str):
    file = tmp_path / "parameters.yml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"line [12]"):
        read(file=str(file))


def test_a_value_of_a_component_goes_to_the_component(tmp_path: Path):
    file = tmp_path / "parameters.yml"
    file.write_text("components: {db: {enabled: true, parameters: {size: 1, zone: a}}}\n")
    options = ParameterOptions(str(file), ("db.size=2", "region=eu", "cache.size=3"))
    given = options.read((), ("db", "cache"))
    assert given.values == {"region": "eu"}
    assert given.components == {
        "db": {"enabled": True, "parameters": {"size": "2", "zone": "a"}},
        "cache": {"parameters": {"size": "3"}},
    }
    assert given.texts == {"db.size", "region", "cache.size"}


def test_a_dot_means_nothing_where_there_is_no_such_component():
    given = ParameterOptions(None, ("db.size=2",)).read((), ("cache",))
    assert given.values == {"db.size": "2"}
    assert given.components == {}


def test_a_components_secret_is_refused_in_clear():
    with pytest.raises(InvalidInput) as refused:
        ParameterOptions(None, ("db.token=hush",)).read({"db.token"}, ("db",))
    assert refused.value.field == "db.token"
    assert "hush" not in str(refused.value)
