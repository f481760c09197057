"""The mirror of the catalog's repository, against real git."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from engine.catalog.addresses import checked_branch, checked_folder, checked_url
from engine.catalog.commits import in_thread
from engine.catalog.repository import Mirror
from engine.errors import ConfigurationError, InvalidInput, NotFound, Unreachable
from tests.support.eventually import eventually
from tests.support.git import GitRepository

NewRepository = Callable[[Mapping[str, str | bytes | None]], GitRepository]
TOKEN = "ghp_0123456789abcdefToken"


def mirror_of(repository: GitRepository, tmp_path: Path, **options: str) -> Mirror:
    return Mirror(tmp_path / "data", repository.url, options.get("branch", "main"))


def read(mirror: Mirror, commit: str) -> dict[str, bytes]:
    files = {p: e for p, e in mirror.documents(commit).items() if e.is_file}
    return dict(mirror.read_blobs(files))


def install(folder: Path, name: str, script: str) -> None:
    """Put a program on a folder that a test has put first on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in taken:
        connection.close()


# Reading.


def test_a_fetch_gives_the_branch_s_commit_and_every_file_of_it(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"catalog/a.yaml": "a", "modules/m/main.tf": b"\x00\xff"})
    mirror = mirror_of(repository, tmp_path)
    assert mirror.fetch() == repository.head
    assert read(mirror, repository.head) == {"catalog/a.yaml": b"a", "modules/m/main.tf": b"\0\xff"}


def test_a_new_commit_is_fetched_into_the_same_mirror(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1", "b.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    old = mirror.fetch()
    new = repository.commit({"a.yaml": "2", "b.yaml": None, "c d.yaml": "\n\n"})
    assert mirror.fetch() == new
    changes = mirror.diff(old, new)
    assert {path: entry.after is None for path, entry in changes.items()} == {
        "a.yaml": False,
        "b.yaml": True,
        "c d.yaml": False,
    }
    assert read(mirror, old) == {"a.yaml": b"1", "b.yaml": b"1"}


def test_documents_of_some_roots_alone(git_repository: NewRepository, tmp_path: Path) -> None:
    repository = git_repository({"catalog/a.yaml": "", "catalogue/b.yaml": "", "x/c.yaml": ""})
    mirror = mirror_of(repository, tmp_path)
    assert list(mirror.documents(mirror.fetch(), ["catalog", "x"])) == [
        "catalog/a.yaml",
        "x/c.yaml",
    ]


def test_many_blobs_are_read_whole_and_in_parts(
    git_repository: NewRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, str | bytes | None] = {f"{n}.yaml": "x" * (n * 997) for n in range(60)}
    mirror = mirror_of(git_repository(files), tmp_path)
    commit = mirror.fetch()
    monkeypatch.setattr("engine.catalog.trees.READ_AT_ONCE", 100_000)
    assert {p: len(c) for p, c in read(mirror, commit).items()} == {
        f"{n}.yaml": n * 997 for n in range(60)
    }


def test_links_and_submodules_are_seen_as_what_they_are(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": ""})
    (repository.path / "link.yaml").symlink_to("/etc/passwd")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.head},sub")
    repository.git("add", "link.yaml")
    repository.git("commit", "--quiet", "-m", "odd things")
    mirror = mirror_of(repository, tmp_path)
    entries = mirror.documents(mirror.fetch())
    assert entries["link.yaml"].is_link
    assert not entries["sub"].is_file
    assert not entries["sub"].is_link


def test_rewritten_history_is_followed_and_the_old_commit_kept(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    old = mirror.fetch()
    (repository.path / "a.yaml").write_text("2")
    repository.git("commit", "--quiet", "--all", "--amend", "-m", "Again")
    new = mirror.fetch()
    assert new == repository.head != old
    mirror.clean_up()
    assert read(mirror, old) == {"a.yaml": b"1"}


def test_two_branches_whose_names_contain_each_other_share_a_mirror(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1"})
    repository.git("branch", "release")
    mirror_of(repository, tmp_path, branch="release").fetch()
    repository.git("branch", "-m", "release", "release/1")
    assert mirror_of(repository, tmp_path, branch="release/1").fetch() == repository.head


# What goes wrong outside.


def test_a_missing_repository_is_unreachable(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "data", f"file://{tmp_path}/nothing", "main")
    with pytest.raises(Unreachable, match="no repository at that address"):
        mirror.fetch()


def test_a_deleted_branch_says_so_and_the_next_fetch_recovers(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    mirror.fetch()
    repository.git("branch", "-m", "main", "trunk")
    with pytest.raises(NotFound, match="no branch 'main'") as caught:
        mirror.fetch()
    assert caught.value.code == "catalog_branch_missing"
    repository.git("branch", "main")
    assert mirror.fetch() == repository.head


def test_an_https_remote_that_never_answers_is_given_up(silent_server: int, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "data", f"https://127.0.0.1:{silent_server}/catalog.git", "main")
    with pytest.raises(Unreachable, match="did not answer in time"):
        mirror.fetch(limit=1.0)


async def test_a_hung_ssh_is_killed_with_its_own_children(programs: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    install(programs, "ssh", f"sleep 600 & echo $$ $! >{pids}; wait")
    mirror = Mirror(tmp_path / "data", "ssh://git@example.invalid/catalog.git", "main")
    with pytest.raises(Unreachable, match="did not answer in time"):
        await in_thread(mirror, mirror.fetch, limit=1.0)
    assert len(pids.read_text().split()) == 2
    await eventually(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


async def test_a_cancelled_fetch_ends_its_git(programs: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    install(programs, "ssh", f"echo $$ >{pids}; exec sleep 600")
    mirror = Mirror(tmp_path / "data", "ssh://git@example.invalid/catalog.git", "main")
    fetch = asyncio.ensure_future(in_thread(mirror, mirror.fetch))
    await eventually(lambda: pids.exists() and pids.read_text().strip())
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await eventually(lambda: not is_alive(int(pids.read_text())))


def is_alive(pid: int) -> bool:
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("git@example.invalid: Permission denied (publickey).", "refuses our credentials"),
        ("Host key verification failed.", "host key is not known"),
    ],
)
def test_what_ssh_refuses_is_said_in_words(
    programs: Path, tmp_path: Path, said: str, reason: str
) -> None:
    install(programs, "ssh", f"echo '{said}' >&2; exit 255")
    mirror = Mirror(tmp_path / "data", "ssh://git@example.invalid/catalog.git", "main")
    with pytest.raises(Unreachable, match=reason):
        mirror.fetch()


def test_a_missing_git_is_a_sentence(
    git_repository: NewRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = git_repository({})
    only_env = tmp_path / "bin"
    only_env.mkdir()
    (only_env / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(only_env))
    with pytest.raises(ConfigurationError, match="git is not installed"):
        mirror_of(repository, tmp_path).fetch()


def test_a_mirror_that_cannot_be_written_says_so(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        mirror_of(git_repository({}), tmp_path).fetch()


# What goes wrong inside.


def test_a_broken_mirror_is_made_anew(git_repository: NewRepository, tmp_path: Path) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    mirror.fetch()
    (mirror.folder / "config").write_text("[core\nnonsense")
    for pack in mirror.folder.glob("objects/??/*"):
        pack.chmod(0o600)
        pack.write_bytes(b"garbage")
    (mirror.folder / "HEAD").write_text("garbage")
    repository.commit({"a.yaml": "2"})
    assert mirror.fetch() == repository.head
    assert read(mirror, repository.head) == {"a.yaml": b"2"}
    assert sorted(p.name for p in mirror.folder.parent.iterdir()) == [
        mirror.folder.name,
        mirror.folder.with_suffix(".lock").name,
    ]


def test_locks_that_a_killed_git_left_do_not_block(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    mirror.fetch()
    for name in ("packed-refs.lock", "refs/pao/head.lock", "HEAD.lock", "config.lock"):
        (mirror.folder / name).touch()
    repository.commit({"a.yaml": "2"})
    assert mirror.fetch() == repository.head


def test_fetches_of_one_mirror_wait_for_each_other(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirrors = [mirror_of(repository, tmp_path) for _ in range(4)]
    heads: list[str] = []
    threads = [threading.Thread(target=lambda m=m: heads.append(m.fetch())) for m in mirrors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heads == [repository.head] * 4


# Who is trusted with what.


def test_the_token_reaches_the_host_s_header_and_nothing_else(
    programs: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    real = subprocess.run(["which", "-a", "git"], capture_output=True, text=True, check=True)
    git = real.stdout.split()[-1]
    install(
        programs,
        "git",
        f"echo ARGV $0 $* >>{seen}\nenv >>{seen}.env\n"
        f'case "$*" in *fetch*) echo "fatal: Authentication failed, said {TOKEN}" >&2; exit 128;;'
        f' esac\nexec {git} "$@"',
    )
    mirror = Mirror(tmp_path / "data", "https://git.example:8443/c.git", "main", token=TOKEN)
    with pytest.raises(Unreachable, match="refuses our credentials") as caught:
        mirror.fetch()
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    environment = (tmp_path / "seen.env").read_text()
    assert f"=Authorization: Basic {basic}" in environment
    assert "=http.https://git.example:8443/.extraHeader" in environment
    for shown in (str(caught.value), repr(caught.value), seen.read_text()):
        assert TOKEN not in shown
        assert basic not in shown
    config = (mirror.folder / "config").read_text()
    assert TOKEN not in config
    assert basic not in config


def test_the_token_is_not_for_ssh_or_files(git_repository: NewRepository, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "data", git_repository({}).url, "main", token=TOKEN)
    assert not any("extraHeader" in value for value in mirror.environment().values())


def test_git_variables_and_settings_of_the_caller_do_not_reach_git(
    git_repository: NewRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = git_repository({"a.yaml": "1"})
    elsewhere = git_repository({"b.yaml": "2"})
    for name, value in {
        "GIT_DIR": str(elsewhere.path / ".git"),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"),
        "GIT_CONFIG_PARAMETERS": "'core.hooksPath=/tmp'",
        "GIT_TRACE": str(tmp_path / "trace"),
        "PAO_CATALOG_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    mirror = mirror_of(repository, tmp_path)
    assert read(mirror, mirror.fetch()) == {"a.yaml": b"1"}
    assert not (tmp_path / "objects").exists()
    assert not (tmp_path / "trace").exists()


def test_hooks_of_a_mirror_do_not_run(git_repository: NewRepository, tmp_path: Path) -> None:
    repository = git_repository({"a.yaml": "1"})
    mirror = mirror_of(repository, tmp_path)
    mirror.fetch()
    ran = tmp_path / "ran"
    install(mirror.folder / "hooks", "reference-transaction", f"touch {ran}")
    repository.commit({"a.yaml": "2"})
    mirror.fetch()
    assert not ran.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "fd::3",
        "-uhttps://example.com/x",
        "--upload-pack=touch x",
        "http://example.com/x.git",
        "git://example.com/x.git",
        "https://user:secretword@example.com/x.git",
        "https://secretword@example.com/x.git",
        "ssh://git:secretword@example.com/x.git",
        "https://example.com/$HOME",
        "https://example.com/x\n.git",
        "ssh://-oProxyCommand=x/y",
        "file://host/srv",
        "relative/path",
        "git@example.com:org/repository.git",
        "https://",
        "https://example.com:port/x",
        "https://example.com/x?y=secretword",
        "",
    ],
)
def test_addresses_that_git_could_misread_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_url(url)
    assert caught.value.field == "CATALOG_URL"
    assert "secretword" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://example.com/org/x.git", "https://example.com/org/x.git"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("ssh://git@example.com:2222/org/x.git", "ssh://git@example.com:2222/org/x.git"),
        ("file:///srv/catalog", "file:///srv/catalog"),
        ("/srv/my catalog", "file:///srv/my%20catalog"),
    ],
)
def test_addresses_that_are_taken(given: str, url: str) -> None:
    assert checked_url(given) == url


def test_the_short_form_of_ssh_is_refused_with_the_long_one() -> None:
    with pytest.raises(InvalidInput, match=r"ssh://git@github\.com/org/catalog\.git"):
        checked_url("git@github.com:org/catalog.git")


def test_a_path_with_a_space_can_be_fetched(tmp_path: Path, git_repository: NewRepository) -> None:
    repository = git_repository({"a.yaml": "1"})
    spaced = repository.path.rename(tmp_path / "my catalog")
    head = GitRepository(spaced).head
    assert Mirror(tmp_path / "data", str(spaced), "main").fetch() == head


@pytest.mark.parametrize("branch", ["main", "release/1.x", "users/ada/try-2", "a@b", "ä"])
def test_branches_that_are_taken(branch: str) -> None:
    assert checked_branch(branch) == branch


@pytest.mark.parametrize("branch", ["main", "release/1.x", "a@b", "ä", "-x", "a..b", "a b", "a~b"])
@pytest.mark.parametrize("around", ["{}", "{}.lock", "{}/", "/{}", ".{}", "{}.", "{}@{{", "x/.{}"])
def test_branches_are_judged_as_git_judges_them(branch: str, around: str) -> None:
    name = around.format(branch)
    git = subprocess.run(
        ["git", "check-ref-format", "--branch", name], check=False, capture_output=True
    )
    if git.returncode:
        with pytest.raises(InvalidInput):
            checked_branch(name)
    else:
        assert checked_branch(name) == name


# Modules.


def test_a_module_is_written_out_as_it_was_at_the_commit(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository(
        {"modules/m/main.tf": "1", "modules/m/files/x.sh": "#!", "modules/mm/other.tf": "no"}
    )
    (repository.path / "modules/m/files/x.sh").chmod(0o755)
    old = repository.commit_all("executable")
    repository.commit({"modules/m/main.tf": "2"})
    target = tmp_path / "out"
    target.mkdir()
    mirror_of(repository, tmp_path).export_tree(old, "./modules//m/", target)
    assert {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()} == {
        "main.tf",
        "files/x.sh",
    }
    assert (target / "main.tf").read_text() == "1"
    assert (target / "files/x.sh").stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize(
    ("file", "content", "is_inside"),
    [
        ("main.tf", 'module "n" {\n  source = "../n"\n}', False),
        ("main.tf", 'module "n" { source = "./../n" }', False),
        ("main.tf.json", '{"module": {"n": {"source": "../n"}}}', False),
        ("sub/main.tf", 'module "n" {\n  source = "../../n"\n}', False),
        ("sub/main.tf", 'module "n" {\n  source = "../other"\n}', True),
        ("main.tf", 'module "n" {\n  source = "./sub"\n}', True),
        ("main.tf", '# source = "../n"\nmodule "n" {\n  source = "acme/n/aws"\n}', True),
        ("README.md", 'source = "../n"', True),
    ],
)
def test_a_module_names_nothing_beside_its_folder(
    git_repository: NewRepository, tmp_path: Path, file: str, content: str, is_inside: bool
) -> None:
    repository = git_repository({f"modules/m/{file}": content, "modules/n/main.tf": "1"})
    target = tmp_path / "out"
    target.mkdir()
    outcome = contextlib.nullcontext() if is_inside else pytest.raises(InvalidInput, match="names")
    with outcome:
        mirror_of(repository, tmp_path).export_tree(repository.head, "modules/m", target)


def test_a_commit_that_no_branch_reaches_any_more_is_asked_for_by_its_name(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"modules/m/main.tf": "1"})
    old = repository.commit({"modules/m/main.tf": "2"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    target = tmp_path / "out"
    target.mkdir()
    mirror_of(repository, tmp_path).export_tree(old, "modules/m", target)
    assert (target / "main.tf").read_text() == "2"


def test_a_commit_that_is_nowhere_is_not_found(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    mirror = mirror_of(git_repository({"modules/m/main.tf": "1"}), tmp_path)
    with pytest.raises(NotFound, match="history of its branch was rewritten"):
        mirror.export_tree("a" * 40, "modules/m", tmp_path)


@pytest.mark.parametrize("path", ["..", "modules/../..", "/etc", "", ".", "a/.git/b", "a\\b"])
def test_a_module_s_path_stays_in_the_repository(path: str) -> None:
    with pytest.raises(InvalidInput):
        checked_folder(path)


def test_a_folder_that_is_not_there_is_not_found(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"modules/m/main.tf": "1"})
    with pytest.raises(NotFound, match="no folder 'modules/n'"):
        mirror_of(repository, tmp_path).export_tree(repository.head, "modules/n", tmp_path)


def test_a_module_with_a_link_or_a_submodule_is_refused(
    git_repository: NewRepository, tmp_path: Path
) -> None:
    repository = git_repository({"modules/m/main.tf": "1", "modules/n/main.tf": "1"})
    (repository.path / "modules/m/secret.tf").symlink_to("/etc/passwd")
    repository.git("add", "--all")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.head},modules/n/s")
    repository.git("commit", "--quiet", "-m", "odd things")
    mirror = mirror_of(repository, tmp_path)
    target = tmp_path / "out"
    target.mkdir()
    for module, kind in {"m": "a symbolic link", "n": "not a plain file"}.items():
        with pytest.raises(InvalidInput, match=kind):
            mirror.export_tree(repository.head, f"modules/{module}", target)
    assert not list(target.iterdir())


@pytest.mark.parametrize(("limit", "value"), [("MODULE_FILES", 1), ("MODULE_BYTES", 10)])
def test_a_module_that_is_too_large_is_refused(
    git_repository: NewRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
) -> None:
    repository = git_repository({"modules/m/main.tf": "x" * 20, "modules/m/more.tf": ""})
    monkeypatch.setattr(f"engine.catalog.trees.{limit}", value)
    with pytest.raises(InvalidInput, match="The module holds 2 files of 20 bytes"):
        mirror_of(repository, tmp_path).export_tree(repository.head, "modules/m", tmp_path)
