"""Every documented command is one that its tool takes: command, options, values and what must be given.

What the tools take is kept in `tools/*.json`, each with its source and date: azure-cli's own argument lists
(`az_arguments.py` makes them anew), and the options in the sources of Core Tools and of the Azure Developer CLI.
"""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from tests.infra.commands import ROOT, Command, documented, simple_commands

DOCUMENTED = documented()


@cache
def known(tool: str) -> dict[str, dict]:
    return json.loads((Path(__file__).parent / "tools" / f"{tool}.json").read_text())["commands"]


def fault(command: Command) -> str | None:
    """What the tool would refuse of it; None where it takes it."""
    tool, *words = command.words
    name = next((found for n in range(len(words), 0, -1) if (found := " ".join(words[:n])) in known(tool)), None)
    if not name:
        return "no such command (a new command of az: run tests/infra/az_arguments.py)"
    takes, given, alone = known(tool)[name], set(), 0
    wanted, choices = "0", []
    for word in words[len(name.split()) :]:
        if word.startswith("-"):
            if wanted == "1":
                return f"{word} stands where a value is wanted"
            if word not in takes["options"]:
                return f"no such option: {word}"
            given.add(word)
            wanted, choices = takes["options"][word], takes["choices"].get(word, [])
        elif wanted == "0":
            alone += word != "…"  # which stands for whatever else is said
        else:
            if choices and word[0] not in "$…" and word.lower() not in map(str.lower, choices):
                return f"{word} is none of {', '.join(choices)}"
            wanted = wanted if wanted == "+" else "0"
    if wanted == "1" and command.whole:
        return "the last option has no value"
    if alone > takes.get("words", 0):
        return "a word too many"
    missing = [options for options in takes["required"] if not given & set(options)]
    return f"{missing[0][-1]} is missing" if missing and command.whole else None


@pytest.mark.parametrize("command", DOCUMENTED, ids=str)
def test_documented_command_is_one_that_the_tool_takes(command):
    assert fault(command) is None


def test_commands_are_found_in_every_kind_of_place():
    assert {"README.md", "docs/deploy.md", "docs/operations.md", "CONTRIBUTING.md", "azure-dev.yml", "check.yml"} <= {
        command.place for command in DOCUMENTED
    }
    assert len(DOCUMENTED) > 40


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("az deployment sub creat --location x", "no such command"),
        ("az deployment sub create --location x --template infra/main.bicep", "no such option: --template"),
        ("az deployment sub create --template-file infra/main.bicep", "missing"),
        ("az deployment sub create --location --template-file infra/main.bicep", "where a value is wanted"),
        ("az deployment sub what-if --location x --validation-level none", "none of"),
        ("az group create x --location y --name z", "a word too many"),
        ("az group create --location y --name", "no value"),
        ("func azure functionapp publish app --python --build remot", "none of"),
        ("func azure functionapp publish app --pyton", "no such option"),
        ("azd env set A b c", "a word too many"),
        ("azd provision --what-if", "no such option"),
    ],
)
def test_wrong_commands_are_seen(script, wrong):
    (words,) = simple_commands(script)
    assert wrong in str(fault(Command("here", tuple(words), whole=True)))


def test_commands_are_read_as_the_shell_reads_them():
    script = """
        # az comment
        A="$(az one --query 'a b' | python3 x)" && eval "$A"   # not az two
        for n in 1 2; do
          azd three 2>&1 | tee log > out && exit 0
          if ! az four \\
            --name x; then exit 1; fi
        done"""
    found = [words for words in simple_commands(script) if words[0] in {"az", "azd"}]
    assert sorted(found) == [["az", "four", "--name", "x"], ["az", "one", "--query", "a b"], ["azd", "three"]]


def test_every_publish_says_the_language_and_where_it_is_built():
    # On a clone without local.settings.json func knows no language: "Worker runtime cannot be 'None'".
    published = [set(each.words) for each in DOCUMENTED if "publish" in each.words and each.whole]
    assert published
    for words in published:
        assert "--python" in words
        assert {"--build", "remote"} <= words or "--no-build" in words
    assert "remoteBuild: true\n" in (ROOT / "azure.yaml").read_text()


def test_every_documented_target_of_make_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        named = re.findall(r"(?:`|^ *)make ([a-z]+)", document.read_text(), re.MULTILINE)
        assert set(named) <= targets, document
