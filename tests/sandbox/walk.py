"""Walks the stand-in's sign-in pages over HTTP, as a browser would."""

import re
from html import unescape
from urllib.parse import urljoin


class Form:
    """One form of a page: where it goes and what is in it."""

    def __init__(self, url, html):
        self.action = urljoin(url, unescape(re.search(r'action="([^"]*)"', html)[1]))
        self.fields = {
            unescape(name): unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', html)
        }


def form(response):
    """The first form of a page."""
    assert response.status_code == 200, response.text
    return Form(str(response.url), re.search(r"<form.*?</form>", response.text, re.DOTALL)[0])


def sign_in(client, url, address, decision="accept"):
    """Picks the account and decides on consent; returns the last page, which holds the answer to the app."""
    picker = form(client.get(url))
    response = client.post(picker.action, data={**picker.fields, "address": address})
    if "decision" in response.text:
        consent = form(response)
        response = client.post(consent.action, data={**consent.fields, "decision": decision})
    return response


def answer(client, url, address, decision="accept"):
    """The fields that the app receives."""
    return form(sign_in(client, url, address, decision)).fields
