"""Function keys: made at the first start, kept in a file that only its owner can read."""

import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Keys:
    """`master` opens everything, the admin endpoint too; `default` opens routes of level FUNCTION."""

    master: str = field(repr=False)
    default: str = field(repr=False)

    def admits(self, presented: str | None, level: str) -> bool:
        """Whether a key presented with a request opens a route of this auth level."""
        if level.upper() == "ANONYMOUS":
            return True
        accepted = [self.master] if level.upper() == "ADMIN" else [self.master, self.default]
        given = (presented or "").encode()
        return any(hmac.compare_digest(given, key.encode()) for key in accepted)


def load_keys(path: Path) -> Keys:
    """The keys in `path`, which is made with fresh ones where it is missing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Keys(content["master"], content["default"])
    except FileNotFoundError:
        keys = Keys(secrets.token_urlsafe(40), secrets.token_urlsafe(40))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"master": keys.master, "default": keys.default}, file)
    return keys
