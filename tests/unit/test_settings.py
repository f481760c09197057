from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import setting_sources, setting_types, settings
from bot.cli.config import markdown
from bot.settings import Settings, load, unknown_variables
from engine.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def members() -> dict[str, set[str]]:
    return {name: set(team.members) for name, team in load().teams.items()}


def test_defaults_need_nothing() -> None:
    found = load()
    assert found.database_url is None
    assert found.http_port == 8000
    assert found.catalog_sync_interval == timedelta(minutes=5)


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("pao.yml", "http_port: 1111\ncatalog_branch: trunk\n")
    monkeypatch.setenv("PAO_HTTP_PORT", "2222")
    found = load()
    assert (found.http_port, found.catalog_branch) == (2222, "trunk")
    origins = found.origins()
    assert (origins["http_port"], origins["catalog_branch"]) == ("PAO_HTTP_PORT", "pao.yml")
    assert origins["data_dir"] == "default"


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_DATABASE_URL", "postgresql://env/x")
    found = load(database_url="postgresql://given/x")
    assert settings.clear(found.database_url) == "postgresql://given/x"


def test_pao_config_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("pao.yml", "http_port: 1\n")
    monkeypatch.setenv("PAO_CONFIG", str(write("other.yml", "http_port: 2\n")))
    assert load().http_port == 2
    assert load(config=Path("pao.yml")).http_port == 1


@pytest.mark.parametrize("name", setting_sources.UNPREFIXED)
def test_the_names_of_bolt_work_and_ours_win(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name.upper(), "theirs")
    assert getattr(load(), name).get_secret_value() == "theirs"
    assert load().origins()[name] == name.upper()
    monkeypatch.setenv(f"PAO_{name.upper()}", "ours")
    assert getattr(load(), name).get_secret_value() == "ours"


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_JIRA_TOKEN_FILE", str(write("token", "s3cret\n")))
    assert settings.clear(load().jira_token) == "s3cret"
    assert load().origins()["jira_token"] == "PAO_JIRA_TOKEN_FILE"


def test_a_value_and_its_file_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_JIRA_TOKEN_FILE", str(write("token", "a")))
    monkeypatch.setenv("PAO_JIRA_TOKEN", "b")
    with pytest.raises(ConfigurationError, match="both set"):
        load()


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_JIRA_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(
        ConfigurationError, match=r"/nowhere/token, which PAO_JIRA_TOKEN_FILE names"
    ):
        load()


@pytest.mark.parametrize("text", ["U1,U2", " U1 , U2 ,", '["U1", "U2"]'])
def test_lists_are_commas_or_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_ADMINS", text)
    assert load().admins == ("U1", "U2")


def test_teams_are_json_or_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    write("pao.yml", "teams:\n  platform: [U1, U2]\n  data: U3\n")
    assert members() == {"platform": {"U1", "U2"}, "data": {"U3"}}
    monkeypatch.setenv("PAO_TEAMS", '{"web": ["U4"]}')
    assert members() == {"web": {"U4"}}


def test_a_team_may_be_members_and_a_user_group(monkeypatch: pytest.MonkeyPatch) -> None:
    teams = '{"platform": {"members": ["U1"], "usergroup": "@sre"}, "data": {"usergroup": "S1"}}'
    monkeypatch.setenv("PAO_TEAMS", teams)
    assert members() == {"platform": {"U1"}, "data": set()}
    assert load().group_teams() == {"sre": "platform", "S1": "data"}


@given(st.lists(st.text("abcU123.-/:", min_size=1), max_size=5))
def test_a_list_survives_being_written_with_commas(names: list[str]) -> None:
    assert setting_types._list(",".join(names)) == names


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_CATALOG_URL", "")
    assert load().catalog_url is None


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PAO_HTTP_PORT", "eighty", "valid integer"),
        ("PAO_HTTP_PORT", "70000", "less than or equal to 65535"),
        ("PAO_LOG_FORMAT", "xml", "'json' or 'console'"),
        ("PAO_CATALOG_SYNC_INTERVAL", "soon", "is not a duration"),
        ("PAO_TEAMS", "{nope", "it is not JSON"),
    ],
)
def test_a_wrong_value_is_told_with_its_setting(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as error:
        load()
    assert variable in str(error.value)
    assert said in str(error.value)


def test_every_wrong_value_is_told_at_once_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("pao.yml", "smtp_port: never\n")
    monkeypatch.setenv("PAO_HTTP_PORT", "never")
    with pytest.raises(ConfigurationError) as error:
        load()
    assert "PAO_SMTP_PORT (from pao.yml)" in str(error.value)
    assert "PAO_HTTP_PORT:" in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http_prot: 1\n", "http_prot is not a setting. Did you mean 'http_port'?"),
        ("- a\n", "is not a mapping"),
        ("a: [\n", "cannot be read"),
        ("config: other.yml\n", "config is not a setting"),
    ],
)
def test_a_mistake_in_the_file_is_told(text: str, said: str) -> None:
    write("pao.yml", text)
    with pytest.raises(ConfigurationError) as error:
        load()
    assert said in str(error.value)
    assert "pao.yml" in str(error.value)


def test_a_file_that_was_named_must_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.yml cannot be read"):
        load(config=Path("gone.yml"))


def test_a_file_that_everybody_may_write_is_refused() -> None:
    write("pao.yml", "http_port: 1\n").chmod(0o666)
    with pytest.raises(ConfigurationError, match="can be written by everybody"):
        load()


def test_an_unknown_variable_is_told_with_the_nearest_setting() -> None:
    told = unknown_variables({"PAO_HTTP_PROT": "1", "PAO_HTTP_PORT": "1", "PATH": "x"})
    assert told == ["PAO_HTTP_PROT is not a setting. Did you mean 'PAO_HTTP_PORT'?"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_and_its_file_variant_is_known(name: str) -> None:
    variables = {f"PAO_{name.upper()}": "", f"PAO_{name.upper()}_FILE": ""}
    assert unknown_variables(variables) == []


def test_no_secret_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_GITHUB_TOKEN", "gh-s3cret")
    monkeypatch.setenv("PAO_ENCRYPTION_KEYS", "k-s3cret,l-s3cret")
    found = load()
    assert "s3cret" not in repr(found)
    assert {"gh-s3cret", "k-s3cret", "l-s3cret"} <= set(found.secret_values())


def test_the_engine_gets_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAO_LEASE_SECONDS", "5")
    monkeypatch.setenv("PAO_JIRA_TOKEN", "t")
    config = load().engine_config("postgresql://x/y", ("key",))
    assert config.database_url == "postgresql://x/y"
    assert config.lease == timedelta(seconds=5)
    assert config.tickets.jira_token == "t"
    assert config.encryption_keys == ("key",)


def test_data_of_an_ordinary_user_is_in_their_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert settings.default_data_dir() == Path("/home/ada/.local/share/pao")


def test_the_page_of_settings_is_the_one_that_the_code_prints() -> None:
    page = Path(__file__).parents[2] / "docs/settings.md"
    assert page.read_text() == markdown() + "\n", "run: pao config reference > docs/settings.md"


@pytest.mark.parametrize("wrong", ["localhost", "10.0.0.0/33", "10.0.0", '["::1", "x"]'])
def test_watchers_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("PAO_METRICS_ALLOW", wrong)
    with pytest.raises(ConfigurationError, match="PAO_METRICS_ALLOW"):
        load()
    monkeypatch.setenv("PAO_METRICS_ALLOW", "10.0.0.0/8, ::1")
    assert load().metrics_allow == ("10.0.0.0/8", "::1")
