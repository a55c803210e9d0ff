"""Makes `tools/az.json` anew: the arguments of every az command that is documented, as azure-cli itself has them.

azure-cli is large, so it is no development requirement. In an environment of its own, from the repository's root:

    python3 -m venv /tmp/azure-cli && /tmp/azure-cli/bin/pip install azure-cli
    /tmp/azure-cli/bin/python -m tests.infra.az_arguments
"""

import datetime as dt
import importlib.metadata
import json
from pathlib import Path

from azure.cli.core import get_default_cli

from tests.infra.commands import documented

DATA = Path(__file__).parent / "tools" / "az.json"
# knack gives these to every command, after its own: https://learn.microsoft.com/cli/azure/reference-types-parameters
GLOBAL = {
    **dict.fromkeys(("--debug", "--verbose", "--only-show-errors", "--help", "-h"), "0"),
    **dict.fromkeys(("--output", "-o", "--query", "--subscription"), "1"),
}


def table(words: list[str]) -> dict:
    """The commands that begin with these words."""
    cli = get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, commands_loader_cls=cli.commands_loader_cls, parser_cls=cli.parser_cls, help_cls=cli.help_cls
    )
    loader = cli.invocation.commands_loader
    loader.load_command_table(words)
    names = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    command = next((name for name in names if name in loader.command_table), None)
    if not command:
        raise SystemExit(f"azure-cli knows no command {' '.join(words)!r}")
    cli.invocation.data["command_string"] = command
    loader.command_table = {command: loader.command_table[command]}
    loader.command_name = command
    loader.load_arguments(command)
    return {command: described(loader.command_table[command].arguments)}


def described(arguments: dict) -> dict:
    """Options by the number of values that they take, the values that they are held to, and what must be given."""
    options, choices, required = dict(GLOBAL), {}, []
    for name, argument in sorted(arguments.items()):
        if name == "cmd":  # what azure-cli hands to its own code
            continue
        settings = argument.type.settings
        spelled = [option if isinstance(option, str) else option.target for option in argument.options_list]
        flag = settings.get("action") in {"store_true", "store_false"}
        values = "0" if flag else str(settings.get("nargs") or 1)
        options |= dict.fromkeys(spelled, values)
        if settings.get("choices"):
            choices |= dict.fromkeys(spelled, sorted(map(str, settings["choices"])))
        if settings.get("required"):
            required.append(sorted(spelled))
    return {"options": dict(sorted(options.items())), "choices": choices, "required": required}


def main() -> None:
    """Writes the file."""
    commands: dict = {}
    for command in documented():
        if command.words[0] == "az" and "…" not in command.words[1]:
            plain = [word for word in command.words[1:] if word != "…"]
            first_option = next((n for n, word in enumerate(plain) if word.startswith("-")), len(plain))
            commands |= table(plain[:first_option])
    source = f"azure-cli {importlib.metadata.version('azure-cli')}, by tests/infra/az_arguments.py"
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    lines = (f"  {json.dumps(name)}: {json.dumps(arguments)}" for name, arguments in sorted(commands.items()))
    head = f' "source": {json.dumps(source)},\n "date": {json.dumps(date)},\n "commands": {{\n'
    DATA.write_text("{\n" + head + ",\n".join(lines) + "\n }\n}\n")


if __name__ == "__main__":
    main()
