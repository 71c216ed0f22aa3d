"""Who may speak to the server, and in what words: hosts, origins, fixed headers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.api_errors import ApiError
from app.token_file import Verifier

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  # no names that a request may give
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Origin",
}
CORS_METHODS = "GET, HEAD, POST, PUT, DELETE"
CORS_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Range"
CORS_EXPOSED = "ETag, Location, Retry-After, Content-Disposition, Content-Range"
PREFLIGHT_S = 600


@dataclass(frozen=True)
class Gate:
    """What a request must show: one exact ``Host``, an ``Origin`` from the list, the token."""

    hosts: frozenset[str]
    origins: frozenset[str]
    verifier: Verifier

    def admits_host(self, hosts: Iterable[str]) -> bool:
        """Tell whether the ``Host`` headers of a request are one, and one of ours."""
        given = list(hosts)
        return len(given) == 1 and given[0].lower() in self.hosts

    def cors_headers(self, origins: Iterable[str]) -> Mapping[str, str] | None:
        """Return what to answer to an ``Origin``; None where it is not allowed."""
        given = list(origins)
        if not given:
            return {}
        if len(given) != 1 or given[0] not in self.origins:
            return None
        return {
            "Access-Control-Allow-Origin": given[0],
            "Access-Control-Expose-Headers": CORS_EXPOSED,
        }

    def refusal(self, hosts: Iterable[str], origins: Iterable[str]) -> ApiError | None:
        """Return why a request with these headers goes no further, None where it may."""
        if not self.admits_host(hosts):
            return ApiError("FORBIDDEN_HOST", "this host name is not one of this server's")
        if self.cors_headers(origins) is None:
            message = "this origin is not one of those that are allowed"
            return ApiError("FORBIDDEN_ORIGIN", message)
        return None


def preflight_headers() -> Mapping[str, str]:
    """Return what a preflight is told beside the origin."""
    return {
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_S),
    }


def allowed_hosts(host: str, port: int, others: Iterable[str]) -> frozenset[str]:
    """Return every ``Host`` that is ours: the loopback names, the bound one, those of the settings.

    One of the settings may name its port; without one it is the server's.
    """
    names = {"127.0.0.1", "localhost", "[::1]"}
    if host not in WILDCARDS:
        names.add(f"[{host}]" if ":" in host else host)
    found = {f"{name}:{port}" for name in names}
    for other in others:
        bare = other.rpartition("]")[2] if other.startswith("[") else other
        found.add(other if ":" in bare else f"{other}:{port}")
    if port == 80:  # a browser leaves it out
        found |= {name.removesuffix(":80") for name in found}
    return frozenset(name.lower() for name in found)
