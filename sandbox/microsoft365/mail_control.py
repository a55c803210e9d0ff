"""Control routes for mailboxes: deliver, generate, look, change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import Route

    from sandbox.microsoft365.world import World


def routes(world: World) -> list[Route]:  # noqa: ARG001
    """The routes of the control port that concern mail."""
    return []
