"""A WebSocket client (RFC 6455) on asyncio streams."""

import asyncio
import base64
import hashlib
import os
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LONGEST = 1 << 20
"""Octets of the longest message that is taken."""
PATIENCE_S = 10
"""How long a handshake may take, and how long the network may take nothing."""


class Refused(Exception):
    """The server answered the handshake with another status; `body` says why."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Closed(Exception):
    """The connection is over; the text is the reason that was given, or nothing."""


class WebSocket:
    """An open connection, made by `connect`."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer

    async def receive(self):
        """The next message: a str or bytes. Closed when there are no more."""
        whole, kind = b"", None
        while True:
            try:
                last, opcode, payload = await self._frame(LONGEST - len(whole))
            except (asyncio.IncompleteReadError, OSError) as error:
                raise Closed("the connection was lost") from error
            if opcode == PING:
                self._write(PONG, payload)
            elif opcode == CLOSE:
                self._write(CLOSE, payload[:2])
                raise Closed(payload[2:].decode("utf-8", "replace"))
            elif opcode in (TEXT, BINARY, CONTINUATION):
                if (opcode == CONTINUATION) != (kind is not None):
                    raise Closed("a continuation of nothing, or nothing of one")
                kind = kind or opcode
                whole += payload
                if last:
                    return whole.decode("utf-8") if kind == TEXT else whole
            elif opcode != PONG:
                raise Closed(f"a frame of no known kind, {opcode}")

    async def send(self, message):
        """Sends a str or bytes; waits while the network takes nothing."""
        text = isinstance(message, str)
        self._write(TEXT if text else BINARY, message.encode("utf-8") if text else message)
        try:
            await asyncio.wait_for(self._writer.drain(), PATIENCE_S)
        except (OSError, asyncio.TimeoutError) as error:
            raise Closed("the connection was lost") from error

    def close(self):
        """Ends the connection at once."""
        try:
            self._write(CLOSE, struct.pack(">H", 1000))
            self._writer.close()
        except Closed:
            pass

    async def _frame(self, limit):
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
        if first & 0x70 or second & 0x80:
            raise Closed("a frame with extensions or a mask, of which nothing was agreed")
        if length > limit:
            raise Closed(f"a message of more than {LONGEST} octets")
        return bool(first & 0x80), first & 0x0F, await self._reader.readexactly(length)

    def _write(self, opcode, payload):
        if self._writer.is_closing():
            raise Closed("the connection was lost")
        length = len(payload)
        head = bytes([0x80 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 1 << 16:
            head += struct.pack(">BH", 0x80 | 126, length)
        else:
            head += struct.pack(">BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        masked = (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")
        self._writer.write(head + mask + masked)


async def connect(host, port, path, headers=None, tls=None):
    """Opens ws://host:port/path, or wss:// with `tls`, an ssl.SSLContext.

    Refused where the server has another answer; OSError where there is none.
    """
    try:
        return await asyncio.wait_for(_connect(host, port, path, headers or {}, tls), PATIENCE_S)
    except asyncio.TimeoutError as error:
        raise OSError(f"{host}:{port} does not answer") from error
    except asyncio.IncompleteReadError as error:
        raise OSError(f"{host}:{port} closed the connection") from error
    except asyncio.LimitOverrunError as error:
        raise OSError(f"{host}:{port} does not speak HTTP") from error


async def _connect(host, port, path, headers, tls):
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {
            "Host": f"{host}:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        asked = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{asked}\r\n".encode("latin-1"))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(answer[0].split()[1])
        found = {}
        for line in answer[1:]:
            name, _, value = line.partition(":")
            found[name.strip().lower()] = value.strip()
        if status != 101:
            length = min(int(found.get("content-length", "0")), 65536)
            body = (await reader.readexactly(length)).decode("utf-8", "replace")
            raise Refused(status, body)
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if found.get("sec-websocket-accept") != accept:
            raise OSError(f"{host}:{port} answered somebody else's handshake")
        return WebSocket(reader, writer)
    except (ValueError, IndexError) as error:
        writer.close()
        raise OSError(f"{host}:{port} does not speak HTTP") from error
    except BaseException:
        writer.close()
        raise
