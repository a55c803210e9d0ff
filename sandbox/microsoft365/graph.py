"""Microsoft Graph v1.0, as far as a mail reader with `User.Read` and `Mail.Read` sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

if TYPE_CHECKING:
    from sandbox.microsoft365.world import World


def app(world: World) -> Starlette:
    """The Graph application on one world."""
    graph = Starlette()
    graph.state.world = world
    return graph
