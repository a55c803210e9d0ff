"""Route templates of HTTP triggers, matched as the Functions host matches them.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#customize-the-http-endpoint
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.host.config import HostError
from sandbox.host.runtime import Function

_PARAMETER = re.compile(r"\{(\*?)(\w+)(?::(\w+)(?:\((\d+)\))?)?(\?)?\}")
_CONSTRAINTS = {None: r"[^/]+", "alpha": r"[A-Za-z]+", "int": r"-?\d+", "guid": r"[0-9A-Fa-f-]{36}"}


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP function with its compiled template. `methods` empty: every method."""

    function: Function
    pattern: re.Pattern[str]
    methods: frozenset[str]
    auth_level: str

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route parameters, or None. Paths are matched in any case; another method is no match."""
        if self.methods and method.upper() not in self.methods:
            return None
        found = self.pattern.fullmatch(path.removeprefix("/").removesuffix("/"))
        return {name: value for name, value in found.groupdict().items() if value} if found else None


def build_routes(functions: Iterable[Function], prefix: str) -> list[Route]:
    """Routes of all HTTP functions; literal templates come before those with parameters."""
    routes = []
    for function in functions:
        if function.kind != "httpTrigger":
            continue
        template = "/".join(
            part for part in (prefix, (function.trigger.get("route") or function.name).strip("/")) if part
        )
        methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or ())
        level = str(function.trigger.get("authLevel") or "FUNCTION")
        routes.append((template.count("{"), Route(function, _compile(template), methods, level)))
    return [route for _, route in sorted(routes, key=lambda item: item[0])]


def _compile(template: str) -> re.Pattern[str]:
    pattern = ""
    for index, segment in enumerate(template.split("/")):
        slash = "/" if index else ""
        parameter = _PARAMETER.fullmatch(segment)
        if not parameter:
            if "{" in segment:
                raise HostError(f"route {template!r}: this host knows parameters only as whole segments")
            pattern += slash + re.escape(segment)
            continue
        catch_all, name, constraint, argument, optional = parameter.groups()
        allowed = None if argument else _CONSTRAINTS.get(constraint)
        if constraint == "maxlength" and argument:
            allowed = f"[^/]{{0,{argument}}}"
        if allowed is None:
            raise HostError(f"route {template!r}: this host does not know the constraint {constraint!r}")
        value = f"(?P<{name}>{'.*' if catch_all else allowed})"
        pattern += f"(?:{slash}{value})?" if optional or catch_all else slash + value
    return re.compile(pattern, re.IGNORECASE)
