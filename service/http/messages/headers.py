"""Security headers: they let a browser do with an answer only what the page needs."""

import base64
import hashlib
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "WITH_PICTURES", "SecurityHeaders", "policy"]

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def policy(inline: str = "") -> str:
    """Return a content security policy that allows the service's own files.

    Args:
        inline: a page's HTML. The policy then also allows the page's inline scripts, by digest, and
            inline styles and data: pictures. Only the API's description needs them.
    """
    scripts = ["'self'"]
    for script in _SCRIPT.findall(inline):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        scripts.append(f"'sha256-{digest}'")
    style, picture = (" 'unsafe-inline'", " data:") if inline else ("", "")
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src 'self'{style}; "
        f"img-src 'self'{picture}; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'"
    )


HEADERS = {
    "content-security-policy": policy(),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


# The explorer shows pictures that the catalogue names. Without http:, a catalogue cannot make
# browsers ask devices of the network they are in.
WITH_PICTURES = policy().replace("img-src 'self'", "img-src 'self' https:")
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class SecurityHeaders:
    """Adds `HEADERS` to every answer, except those that the answer sets itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [pair for pair in _RAW if pair[0] not in names]
            await send(message)

        await self._app(scope, receive, sending)
