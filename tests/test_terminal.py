"""No command prints what a terminal would obey, whatever names, subjects and addresses others have chosen."""

import ast
import json
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import outputs
from mailsync import admin, terminal
from mailsync.accounts.records import Account
from mailsync.mailboxes.records import Folder, LastError, Mailbox
from sandbox import __main__ as sandbox_command
from sandbox import commands, run, show, up
from tests.fakes.stores import FakeAccountStore, FakeMailboxStore
from tests.mailsync.connect.sign_in import MAILBOX, NOW, SETTINGS

ROOT = Path(__file__).parent.parent
HOSTILE = (
    "a\x1b[31m\x1b]0;t\x07b\r\nc\x08\x7f\x00"  # colour, window title, bell, another line, backspace, delete
    "\x9b31m\x90q\x9c\x85"  # the same by C1
    "\u202e\u2066\u200f\u061c\u2028\u2029\u200b\ufeff\U000e0041"  # directions, line ends, nothing to be seen, tags
    "\ud800 caf\u00e9 \u65e5\u672c"
)
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def assert_harmless(text):
    bad = {c for c in text if unicodedata.category(c) in FORBIDDEN and c != "\n"}
    assert not bad, ascii(bad)


@pytest.fixture
def admin_parts(monkeypatch):
    parts = SimpleNamespace(accounts=FakeAccountStore(), mailboxes=FakeMailboxStore(), settings=SETTINGS)
    parts.accounts.add(Account("shop", HOSTILE, ("offers@shop.example",), ()))
    parts.mailboxes.save(
        Mailbox(
            id=MAILBOX,
            account_id="shop",
            address=f"o{HOSTILE}@shop.example",
            mail=HOSTILE,
            display_name=HOSTILE,
            connected_at=NOW,
            last_error=LastError(NOW, "x", HOSTILE),
            folders=(Folder(name=HOSTILE, since=NOW, problem=HOSTILE),),
        )
    )
    monkeypatch.setattr(admin, "app", lambda: parts)
    monkeypatch.setattr(admin, "create_all", lambda _: [(HOSTILE, True)])
    return parts


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    "command", [["account", "list"], ["mailbox", "list"], ["mailbox", "show", MAILBOX], ["mailbox", "show", HOSTILE]]
)
def test_the_operators_commands(admin_parts, capsys, command, as_json):
    code = admin.main([*command, *as_json])
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    assert printed.out or code
    assert printed.out.isascii() or not as_json


def test_the_operators_other_commands(admin_parts, capsys):
    assert admin.main(["storage", "create"]) == 0
    with pytest.raises(SystemExit):
        admin.main(["account", "release", "shop", HOSTILE])
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)


class Control:
    """A stand-in whose every text is hostile."""

    def __init__(self, _state):
        pass

    def call(self, method, path, body=None):
        message = {"receivedDateTime": HOSTILE, "folder": HOSTILE, "subject": HOSTILE, "id": HOSTILE}
        fault = {"name": HOSTILE, "sentence": HOSTILE, "params": {HOSTILE: HOSTILE}, "remaining": 1}
        return {
            "messages": [message],
            "known": [fault],
            "active": [fault],
            "cleared": 1,
            "delivered": 1,
            "unreadable": [{"name": HOSTILE, "reason": HOSTILE}],
            **fault,
        }

    def send(self, *_arguments, **_query):
        return self.call("", "")


@pytest.fixture
def sandbox_parts(monkeypatch):
    row = {"messageId": HOSTILE, "receivedDateTime": HOSTILE, "fromName": HOSTILE, "subject": HOSTILE, "body": HOSTILE}
    found = SimpleNamespace(id=MAILBOX, address="offers@shop.example")
    state = SimpleNamespace(app="https://localhost", ca_file="")
    monkeypatch.setattr(commands, "load_state", lambda: state)
    monkeypatch.setattr(commands, "Control", Control)
    monkeypatch.setattr(commands, "fire", lambda *_: None)
    monkeypatch.setattr(commands, "message_rows", lambda *_: iter([row]))
    monkeypatch.setattr(commands, "connect_mailbox", lambda *_: HOSTILE)
    monkeypatch.setattr(
        commands, "mailsync_app", lambda _: SimpleNamespace(mailboxes=SimpleNamespace(list=lambda: [found]))
    )
    monkeypatch.setattr(run, "message_rows", lambda *_: iter([row]))
    return row


@pytest.mark.parametrize(
    "arguments",
    [
        ["connect", "offers@shop.example"],
        ["deliver", f"o{HOSTILE}@shop.example", __file__],
        ["deliver", "offers@shop.example", "/no/such/" + HOSTILE.replace("\x00", "").replace("\ud800", "")],
        ["messages", "offers@shop.example"],
        ["messages", "offers@shop.example", "--json"],
        ["messages", f"o{HOSTILE}@shop.example"],
        ["mailbox", "offers@shop.example"],
        ["mailbox", "offers@shop.example", "--json"],
        ["poll"],
        ["fault", "list"],
        ["fault", "clear"],
        ["fault", "graph-slow"],
        ["fault", HOSTILE, HOSTILE],
    ],
    ids=lambda arguments: " ".join(map(ascii, arguments))[:30],
)
def test_the_sandboxs_commands(sandbox_parts, capsys, arguments):
    sandbox_command.main(arguments)
    printed = capsys.readouterr()
    assert printed.out + printed.err
    assert_harmless(printed.out + printed.err)


def test_arguments_that_are_wrong(capsys):
    for main in (admin.main, sandbox_command.main):
        with pytest.raises(SystemExit):
            main([HOSTILE])
    assert_harmless(capsys.readouterr().err)


def test_what_run_shows(sandbox_parts, capsys):
    run.show_new(SimpleNamespace(state=None), MAILBOX, set())
    assert_harmless(capsys.readouterr().out)
    assert_harmless(show.line(sandbox_parts, "after 1 s"))


def test_outputs_of_a_deployment_that_are_not_to_be_shown_are_refused():
    name = next(iter(json.loads(outputs.TEMPLATE.read_text())["outputs"]))
    with pytest.raises(outputs.OutputsError, match=name) as error:
        outputs.exports({name: {"value": HOSTILE}})
    assert_harmless(str(error.value))
    for text in (HOSTILE, json.dumps(HOSTILE), f'{{"{HOSTILE}"'):
        with pytest.raises(outputs.OutputsError) as error:
            outputs.read(text)
        assert_harmless(str(error.value))
    with pytest.raises(outputs.OutputsError) as error:
        outputs.exports({HOSTILE: {"value": "x"}})
    assert_harmless(str(error.value))


def test_json_says_the_same_and_is_ascii():
    assert json.loads(terminal.to_json({"a": HOSTILE})) == {"a": HOSTILE}
    assert_harmless(terminal.to_json({"a": HOSTILE}))
    assert terminal.to_json(HOSTILE).isascii()


@pytest.mark.parametrize(
    "path",
    [
        "mailsync/admin.py",
        "sandbox/__main__.py",
        *(f"sandbox/{m.__name__.rpartition('.')[2]}.py" for m in (commands, run, show, up)),
    ],
)
def test_commands_print_by_way_of_the_one_function(path):
    """Only JSON, which is made harmless as a whole, is printed as it is."""
    calls = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Call)]
    printed = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    for call in printed:
        inner = call.args[0]
        assert isinstance(inner, ast.Call)
        assert inner.func.id == "to_json"
