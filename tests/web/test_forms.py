"""What a browser, or somebody else, may send."""

import contextlib
from urllib.parse import urlencode

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.errors import Rejected
from web.cookies import value_of
from web.forms import form

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}


def request(body: bytes = b"", **headers: str) -> func.HttpRequest:
    return func.HttpRequest("POST", "https://connect.example/auth/callback", headers=FORM | headers, body=body)


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=20))
def test_a_form_is_read_as_it_was_filled_in(fields):
    assert form(request(urlencode(fields).encode())) == fields


@given(st.binary(max_size=200))
def test_bytes_that_are_no_form_are_refused_and_nothing_worse(body):
    with contextlib.suppress(Rejected):
        form(request(body))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("a=1", "1"),
        ("b=2; a=1", "1"),
        ("a=1;a=2", "1"),
        ("a=x=y", "x=y"),
        ("a=", ""),
        ("xa=1", None),
        ("a", None),
        ('b="unclosed; a=1', "1"),
        ("", None),
    ],
)
def test_a_cookie_is_found_among_others(header, value):
    assert value_of(request(Cookie=header), "a") == value
