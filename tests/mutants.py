"""`make mutants`: changes the deciding code in small ways, and tells which changes no table notices.

mutmut makes the changes and runs the tables on each (`[tool.mutmut]` in pyproject.toml says which). It fails where
a change is noticed by no table, unless it stands in EQUIVALENT: one that makes no difference to anybody.

https://mutmut.readthedocs.io/
"""

import re
import subprocess
import sys
from collections import Counter

from sandbox.state import PROJECT

EQUIVALENT = {
    ("accounts/rules", "std3_rules=None"): "what those rules refuse, the pattern of a domain refuses after it",
    ("accounts/rules", "std3_rules=False"): "what those rules refuse, the pattern of a domain refuses after it",
    ("accounts/rules", "uts46=True, transitional=False"): "as with std3_rules=False, which is the default",
    ("accounts/rules", "transitional=None"): "false is meant, and is the default",
    ("accounts/rules", "std3_rules=True, )"): "as with transitional=None",
    ("accounts/rules", '.decode("ASCII")'): "the same encoding",
    ("accounts/rules", "text.strip().partition"): "an address with two @ is refused whichever divides it",
    ("connect/id_token", 'scope.rsplit("/", '): "only what follows the last / is looked at",
    ("connect/id_token", 'claims.get("nbf", 1)'): "a second after 1970 is long ago",
    ("push/door", "len(self._standing) > _ENOUGH"): "one hint more is remembered before some are forgotten",
    ("push/door", "if now <= one.until"): "what stands for nothing more is forgotten one time later",
    ("push/trust", "retry_after or 1"): "the shortest wait is a minute",
    ("push/trust", "min(push.failures, 17)"): "the longest wait is reached long before; it only keeps numbers small",
    ("schedule/pace", "len(self._rests_at) > _ENOUGH"): "one key more is remembered before some are forgotten",
    ("schedule/pace", "if then >= now"): "what is at rest is forgotten one time later",
    ("sync/merge", 'folder.folder_id or "XXXX"'): "a folder that is read has an id",
    (
        "sync/outcome",
        "min(mailbox.failures, 17)",
    ): "the longest wait is reached long before; it only keeps numbers small",
}
"""Why a change is none, by module and by a part of the changed line."""

OF_OTHER_TESTS = "ǁFolderStateǁ"
"""The class reads and writes; whole runs hold it (`tests/mailsync/sync/`), as no table can."""

NOTICED = {"killed", "timeout", "segfault"}


def main() -> int:
    """The command."""
    if _mutmut("run", "--max-children", "2", show=True).returncode:
        return 1
    statuses = dict(line.strip().split(": ") for line in _mutmut("results", "--all", "true").stdout.splitlines())
    unnoticed: dict[str, list[str]] = {}
    totals: Counter[str] = Counter()
    for name, status in statuses.items():
        if OF_OTHER_TESTS not in name:
            module = re.sub(r"\.x.*", "", name).removeprefix("mailsync.").replace(".", "/")
            totals[module] += 1
            if status not in NOTICED:
                unnoticed.setdefault(module, []).append(name)
    print("\n\nnoticed     of  module")
    unexplained = 0
    for module, total in sorted(totals.items()):
        survivors = unnoticed.get(module, [])
        print(f"{total - len(survivors):7} {total:6}  {module}")
        for name in survivors:
            line = _changed_line(name)
            why = next((why for (of, part), why in EQUIVALENT.items() if of == module and part in line), "")
            unexplained += not why
            print(f"{'equivalent' if why else 'UNNOTICED':>14}  {line}{f'  ({why})' if why else f'  ({name})'}")
    return 1 if unexplained else 0


def _changed_line(name: str) -> str:
    """What stands there instead."""
    diff = _mutmut("show", name).stdout.splitlines()
    return " ".join(line[1:].strip() for line in diff if line.startswith("+") and not line.startswith("+++"))


def _mutmut(*arguments: str, show: bool = False) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=not show, text=True, stdout=None if show else subprocess.PIPE)


if __name__ == "__main__":
    sys.exit(main())
