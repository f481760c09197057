"""Secrets at rest and in use: encrypted values, and the files that `secrets.<key>` reads.

Encryption is Fernet's (AES-128-CBC and HMAC-SHA256) under a list of keys: the first encrypts, all
decrypt. What is encrypted is `{"purpose": ..., "value": ...}`, and the purpose is checked after
decryption: a ciphertext that was copied to another row is refused. Beside a ciphertext stands the
id of its key, so that what a lost or retired key encrypted can be counted and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from engine.errors import ConfigurationError, NotFound, PaoError
from engine.foreign_json import Json, dump_json
from engine.templates.running import SecretLookup

LARGEST_SECRET = 64 << 10
"""Bytes of a secret's file."""

NEW_KEY = (
    "A key is made by `python3 -c 'import base64, os;"
    " print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`"
)


class SecretUnreadable(PaoError):
    """A stored secret cannot be decrypted: its key is lost, or it stands where it was not put."""

    default_code = "secret_unreadable"
    default_kind = "permanent"


class Cipher:
    """Encrypts and decrypts values under a list of keys. Safe to share; holds the keys in clear."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys, the encrypting one first. ConfigurationError names what is wrong."""
        self._keys = {key_id(key): _fernet(key) for key in keys}
        self._first = key_id(keys[0]) if keys else None

    @property
    def key_id(self) -> str:
        """Id of the key that encrypts. ConfigurationError when there is none."""
        if self._first is None:
            raise ConfigurationError(
                "A secret cannot be stored",
                "no encryption key is set",
                f"Set PAO_ENCRYPTION_KEYS. {NEW_KEY}",
                code="no_encryption_key",
            )
        return self._first

    def encrypt(self, value: Json, purpose: str) -> tuple[str, str]:
        """Return the ciphertext of a JSON value bound to its purpose, and its key's id."""
        text = dump_json({"purpose": purpose, "value": value})
        return self._sealed(text.encode("utf-8", "replace"))

    def decrypt(self, ciphertext: str, purpose: str, key: str | None = None) -> Json:
        """Return the value. SecretUnreadable when no key fits or the purpose is another.

        `key` is the key id that stands beside the ciphertext: it makes the error name the lost key.
        """
        kept = json.loads(self._clear(ciphertext, key), parse_float=Decimal)
        if not isinstance(kept, Mapping) or kept.get("purpose") != purpose:
            raise SecretUnreadable(
                "A stored secret is not where it belongs",
                f"it was not encrypted for {purpose}",
                "Restore the row from a backup, or enter the secret again",
                code="secret_misplaced",
            )
        return kept["value"]

    def rotate(self, ciphertext: str, key: str | None = None) -> tuple[str, str]:
        """Return the same secret under the first key, and that key's id."""
        return self._sealed(self._clear(ciphertext, key))

    def _sealed(self, clear: bytes) -> tuple[str, str]:
        return self._keys[self.key_id].encrypt(clear).decode("ascii"), self.key_id

    def _clear(self, ciphertext: str, key: str | None) -> bytes:
        named = self._keys.get(key) if key else None
        for fernet in [named] if named else self._keys.values():
            try:
                return fernet.decrypt(ciphertext.encode())
            except InvalidToken:
                continue
        missing = f"its key {key} is not" if key and not named else "its key is not"
        raise SecretUnreadable(
            "A stored secret cannot be read",
            f"{missing} among the encryption keys ({', '.join(self._keys) or 'none are set'})",
            "Add the key to PAO_ENCRYPTION_KEYS again, or enter the secret again",
            code="encryption_key_lost",
        )


class SecretFiles:
    """SECRETS_DIR: one file a key. `allow` maps a key to the owners and paths that may use it."""

    def __init__(
        self, directory: Path | None, allow: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._directory = directory
        self._allow = allow or {}

    def scope(self, owner: str, path: str | None) -> SecretScope:
        """Return what templates of a document see as `secrets`.

        `owner` and `path` (from the catalog's root) are the document's, for the allow rule.
        """
        return SecretScope(lambda key: self.read(key, owner, path))

    def read(self, key: str, owner: str, path: str | None) -> str:
        """Return a secret, one trailing line end removed.

        Blocking: a small local file. Raises NotFound where there is none, ConfigurationError
        where it cannot be read or is not for this document.
        """
        self._check_allowed(key, owner, path)
        if self._directory is None:
            raise NotFound(
                f"There is no secret {key!r}", "PAO_SECRETS_DIR is not set", "Ask an operator"
            )
        if not key or key in {".", ".."} or any(char in key for char in "/\\\0"):
            raise NotFound(f"There is no secret {key!r}", "it is not a file's name")
        return self._text(key, self._directory / key)

    def _check_allowed(self, key: str, owner: str, path: str | None) -> None:
        rule = self._allow.get(key)
        if rule is None and not self._allow:
            return
        if not any(_is_for(entry, owner, path) for entry in rule or ()):
            raise ConfigurationError(
                f"The secret {key!r} may not be used here",
                f"PAO_SECRETS_ALLOW does not name the owner {owner} or the path {path}",
                "Ask an operator to allow it",
                code="secret_not_allowed",
            )

    def _text(self, key: str, file: Path) -> str:
        try:
            # A symbolic link inside the folder is how Kubernetes mounts secrets; one out is not.
            root = file.parent.resolve()
            inside = file.resolve().is_relative_to(root)
            data = file.read_bytes()[: LARGEST_SECRET + 1] if inside and file.is_file() else None
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigurationError(f"The secret {key!r} cannot be read", reason) from error
        if data is None:
            raise NotFound(f"There is no secret {key!r}", "SECRETS_DIR has no such file")
        if len(data) > LARGEST_SECRET:
            raise ConfigurationError(
                f"The secret {key!r} cannot be used", f"it is larger than {LARGEST_SECRET} bytes"
            )
        try:
            return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"The secret {key!r} is not UTF-8 text") from error


class SecretScope(SecretLookup):
    """`secrets` in a template: looks one up by its key, and can do nothing else.

    It keeps what it gave: `values` is what has to be redacted from everything that the step says.
    """

    __slots__ = ("_given",)

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__(read)
        self._given: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        """Return the secret `key`; raises what `SecretFiles.read` raises."""
        if key not in self._given:
            self._given[key] = super().__getitem__(key)
        return self._given[key]

    @property
    def values(self) -> frozenset[str]:
        """The secrets given so far, in clear."""
        return frozenset(self._given.values())


def key_id(key: str) -> str:
    """Return the 8 characters that name a key without telling anything of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _fernet(key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as error:
        raise ConfigurationError(
            "An encryption key cannot be used",
            f"the one with the id {key_id(key)} is not 32 bytes in URL-safe base64",
            NEW_KEY,
        ) from error


def _is_for(entry: str, owner: str, path: str | None) -> bool:
    """Whether an entry of SECRETS_ALLOW names the owner, the document or a folder above it."""
    if entry == owner:
        return True
    folder = entry.strip("/")
    return path is not None and (path == folder or path.startswith(folder + "/"))
