"""Where a Tipring is, and asking it by REST."""

import asyncio
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

from . import websocket
from .call import CallError

URL = "http://127.0.0.1:8000"
PATIENCE_S = 30


class Server:
    """A running Tipring: TIPRING_URL, and the token TIPRING_TOKEN where it wants one."""

    def __init__(self, url=None, token=None):
        self.url = (url or os.environ.get("TIPRING_URL") or URL).rstrip("/")
        token = token or os.environ.get("TIPRING_TOKEN")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"TIPRING_URL {self.url!r} is no http:// or https:// address")
        self.host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        # Without the proxies of the environment: a telephone system is near.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )

    async def socket(self, path):
        """A WebSocket. websocket.Refused or OSError where there is none."""
        return await websocket.connect(self.host, self._port, path, self._headers, self._tls)

    async def ask(self, method, path, body=None):
        """The JSON of an answer, or None where it has no body. CallError where it is a refusal."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._ask, method, path, body)

    def _ask(self, method, path, body):
        headers = dict(self._headers)
        octets = None
        if body is not None:
            octets = json.dumps(body).encode("utf-8")
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, octets, headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise CallError(reason(error.code, error.read().decode("utf-8", "replace"))) from error
        except OSError as error:
            raise CallError(f"{self.url} cannot be reached: {error}") from error
        return json.loads(text) if text else None


def reason(status, body):
    """What a refusal says for people."""
    try:
        return f"{status} {json.loads(body)['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{status} {body.strip()}"
