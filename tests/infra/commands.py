"""The commands of Azure's tools that documents and workflows tell people and machines to run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TOOLS = ("az", "azd", "func")
DOCUMENTS = ("*.md", "docs/*.md", ".github/**/*.md")
WORKFLOWS = ".github/workflows/*.yml"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_KEYWORDS = {"if", "then", "else", "do", "while", "until", "exec", "!", "{"}


@dataclass(frozen=True)
class Command:
    """One command, as the shell would see its words; `whole` where it is to be run as it stands."""

    place: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.place}: {shlex.join(self.words)}"


def documented() -> list[Command]:
    """Every command of az, azd and func in the documents, the workflows and the hooks of azure.yaml."""
    return [
        Command(place, tuple(words), whole)
        for place, script, whole in _scripts()
        for words in simple_commands(script)
        if words[0] in TOOLS and (whole or len(words) > 1)
    ]


def _scripts() -> Iterator[tuple[str, str, bool]]:
    """Place, text, and whether it is a whole script or named in a sentence."""
    for path in (path for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))):
        text, place = path.read_text(), path.relative_to(ROOT).as_posix()
        for fence in _FENCE.finditer(text):
            if fence[2] in {"sh", "bash"}:
                yield place, fence[3], True
        for inline in _INLINE.findall(_FENCE.sub("", text)):
            yield place, inline, False
    for path in sorted(ROOT.glob(WORKFLOWS)):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            yield from ((path.name, step["run"], True) for step in job["steps"] if "run" in step)
    azure = yaml.safe_load((ROOT / "azure.yaml").read_text())
    for part in (azure, *azure["services"].values()):
        yield from (("azure.yaml", hook["run"], True) for hook in part.get("hooks", {}).values())


def simple_commands(script: str) -> list[list[str]]:
    """The commands of a shell script, those in its substitutions too, each as its words.

    Enough of the shell for what documents hold: quotes, continued lines, pipes, lists, comments, `$(…)`.
    """
    script = re.sub(r"(^|\s)#.*$", r"\1", script.replace("\\\n", " "), flags=re.MULTILINE)
    script = re.sub(r"\d>&\d", "", script)
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";|&()<>\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    commands: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set(";|&()\n"):
            commands.append([])
        elif set(word) <= set("<>&"):
            redirected = True
        elif redirected:
            redirected = False
        elif commands[-1] or not (word in _KEYWORDS or re.match(r"\w+=", word)):
            commands[-1].append(word)
    within = [words for part in substitutions(script) for words in simple_commands(part)]
    return [words for words in commands if words] + within


def substitutions(script: str) -> Iterator[str]:
    """The insides of the outermost `$(…)` within double quotes, which the lexer takes for part of a word."""
    start = 0
    while (start := script.find('"$(', start)) >= 0:
        depth = 0
        for end in range(start + 2, len(script)):
            depth += {"(": 1, ")": -1}.get(script[end], 0)
            if not depth:
                break
        yield script[start + 3 : end]
        start = end
