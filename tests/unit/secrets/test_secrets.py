"""Encryption at rest, and the files that `secrets.<key>` reads."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError, NotFound
from engine.secrets import (
    LARGEST_SECRET,
    Cipher,
    SecretFiles,
    SecretUnreadable,
    key_id,
)

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_what_was_encrypted_comes_back(value) -> None:
    cipher = Cipher([NEW])
    ciphertext, key = cipher.encrypt(value, "output:1:password")
    assert key == key_id(NEW)
    assert cipher.decrypt(ciphertext, "output:1:password") == value


def test_a_ciphertext_in_another_place_is_refused() -> None:
    cipher = Cipher([NEW])
    ciphertext, _ = cipher.encrypt("x", "output:1:password")
    with pytest.raises(SecretUnreadable, match="output:2:password"):
        cipher.decrypt(ciphertext, "output:2:password")


def test_rotation_moves_a_secret_to_the_first_key() -> None:
    ciphertext, old = Cipher([OLD]).encrypt("x", "p")
    rotated, new = Cipher([NEW, OLD]).rotate(ciphertext, old)
    assert (old, new) == (key_id(OLD), key_id(NEW))
    assert Cipher([NEW]).decrypt(rotated, "p") == "x"


def test_a_lost_key_is_one_clear_error_that_names_it() -> None:
    ciphertext, old = Cipher([OLD]).encrypt("hunter22", "p")
    with pytest.raises(SecretUnreadable) as caught:
        Cipher([NEW]).decrypt(ciphertext, "p", old)
    assert caught.value.code == "encryption_key_lost"
    assert old in str(caught.value)
    assert OLD not in str(caught.value)


def test_a_damaged_ciphertext_is_unreadable() -> None:
    ciphertext, key = Cipher([OLD]).encrypt("x", "p")
    with pytest.raises(SecretUnreadable):
        Cipher([OLD]).decrypt(ciphertext[:-4] + "AAAA", "p", key)


def test_without_a_key_nothing_is_stored() -> None:
    with pytest.raises(ConfigurationError, match="PAO_ENCRYPTION_KEYS"):
        Cipher([]).encrypt("x", "p")


def test_what_is_no_key_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cipher(["my-password"])
    assert "my-password" not in str(caught.value)


@pytest.fixture
def folder(tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "token").write_text("hunter22\n")
    (tmp_path / "outside").write_text("not a secret")
    return secrets


def test_a_secret_is_a_file_without_its_last_line_end(folder) -> None:
    (folder / "pem").write_bytes(b"a\r\nb\r\n")
    files = SecretFiles(folder)
    assert files.read("token", "platform", None) == "hunter22"
    assert files.read("pem", "platform", None) == "a\r\nb"


@pytest.mark.parametrize(
    "key", ["../outside", "..", ".", "", "/etc/passwd", "missing", "a\0b", "link", "x" * 300]
)
def test_no_key_leads_out_of_the_folder(folder, key: str) -> None:
    (folder / "link").symlink_to(folder.parent / "outside")
    with pytest.raises((NotFound, ConfigurationError)):
        SecretFiles(folder).read(key, "platform", None)


def test_links_inside_the_folder_are_how_kubernetes_mounts_secrets(folder) -> None:
    (folder / "..data").mkdir()
    (folder / "..data" / "password").write_text("x")
    (folder / "password").symlink_to("..data/password")
    assert SecretFiles(folder).read("password", "platform", None) == "x"


def test_large_and_binary_files_are_refused(folder) -> None:
    (folder / "large").write_bytes(b"x" * (LARGEST_SECRET + 1))
    (folder / "binary").write_bytes(b"\xff\xfe")
    for key in ("large", "binary"):
        with pytest.raises(ConfigurationError, match=key):
            SecretFiles(folder).read(key, "platform", None)


def test_without_a_folder_there_are_no_secrets() -> None:
    with pytest.raises(NotFound, match="PAO_SECRETS_DIR"):
        SecretFiles(None).read("token", "platform", None)


@pytest.mark.parametrize(
    ("owner", "path", "allowed"),
    [
        ("platform", None, True),
        ("other", "catalog/databases/pg.yaml", True),
        ("other", "catalog/databases", True),
        ("other", "catalog/databases-evil/pg.yaml", False),
        ("other", None, False),
    ],
)
def test_a_rule_says_which_documents_may_use_a_secret(folder, owner, path, allowed) -> None:
    files = SecretFiles(folder, {"token": ["platform", "catalog/databases/"]})
    if allowed:
        assert files.read("token", owner, path) == "hunter22"
    else:
        with pytest.raises(ConfigurationError, match="PAO_SECRETS_ALLOW"):
            files.read("token", owner, path)


def test_where_there_are_rules_an_unnamed_secret_is_for_nobody(folder) -> None:
    files = SecretFiles(folder, {"another": ["platform"]})
    with pytest.raises(ConfigurationError):
        files.read("token", "platform", None)


def test_a_scope_gives_values_by_key_and_remembers_which(folder) -> None:
    (folder / "unused").write_text("unused-value")
    scope = SecretFiles(folder).scope("platform", None)
    assert scope["token"] == "hunter22"
    assert scope.values == {"hunter22"}
