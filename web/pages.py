"""The layout of all pages: `templates/` here has the frame and the style, each trigger folder its own pages.

Jinja2 is loaded when the first page is made.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func

from mailsync.settings import Brand
from web import headers

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent / "templates"


def page(
    folder: Path,
    template: str,
    values: Mapping[str, object],
    *,
    brand: Brand,
    status: int = 200,
    form_action: str = "'none'",
) -> func.HttpResponse:
    """A page from a template in `folder`, which extends `base.html`. `form_action`: where its forms may lead."""
    images = f"data: {brand.logo_url}".strip()  # data: is the favicon, which stands in the page
    return func.HttpResponse(
        _environment(folder).get_template(template).render(values, brand=brand, icon=_icon()),
        status_code=status,
        headers=headers.page(_style_hash(), form_action=form_action, images=images),
        mimetype="text/html",
        charset="utf-8",
    )


@cache
def _style() -> str:
    return (_HERE / "style.css").read_text("utf-8").strip()


@cache
def _icon() -> str:
    """The favicon as a data URI: so no page fetches anything, and no route is needed."""
    return f"data:image/svg+xml,{quote((_HERE / 'icon.svg').read_text('utf-8').strip())}"


@cache
def _style_hash() -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()}"


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader([folder, _HERE])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False, trim_blocks=True
    )
    environment.globals["style"] = Markup(_style())  # noqa: S704 - our own file, and its hash stands in the policy
    return environment
