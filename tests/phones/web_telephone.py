"""A telephone on a WebSocket (RFC 7118): takes commands on standard input, says what happens on its output.

Usage: web_telephone.py ws://HOST:PORT|wss://HOST:PORT USER PASSWORD [CERTIFICATE]
Commands: register, call NUMBER, answer, hang_up. Says: registered SECONDS, confirmed, incoming, disconnected,
refused STATUS. Its SDP is plain RTP to a port that it has and never reads.
"""

import asyncio
import hashlib
import secrets
import socket
import ssl
import sys

import websockets

url, user, password = sys.argv[1:4]
scheme, server = url.split("://")
here = f"{secrets.token_hex(6)}.invalid"
contact = f"<sip:{user}@{here};transport=ws>"
media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
media.bind(("127.0.0.1", 0))
SDP = (
    f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    f"m=audio {media.getsockname()[1]} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


def say(*words):
    print(*words, flush=True)


class Message:
    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.lines = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for key, value in self.lines if key.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [""])[0]


def digest(challenge, method, uri):
    fields = dict(part.strip().split("=", 1) for part in challenge.split(" ", 1)[1].split(","))
    fields = {key: value.strip('"') for key, value in fields.items()}
    algorithm = fields.get("algorithm", "MD5")

    def digested(text):
        return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()

    realm, nonce, cnonce = fields["realm"], fields["nonce"], secrets.token_hex(8)
    first = digested(f"{user}:{realm}:{password}")
    response = digested(f"{first}:{nonce}:00000001:{cnonce}:auth:{digested(f'{method}:{uri}')}")
    return (
        f'Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="{uri}",response="{response}",'
        f'algorithm={algorithm},qop=auth,nc=00000001,cnonce="{cnonce}"'
    )


class Telephone:
    def __init__(self, line):
        self.line = line
        self.sequence = 0
        self.asked = {}
        self.dialog = None
        self.invite = None

    async def request(self, method, uri, to, call_id, body="", more=()):
        self.sequence += method != "ACK"
        branch = "z9hG4bK" + secrets.token_hex(8)
        frm = f"<sip:{user}@{server}>;tag={call_id[:8]}"
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{scheme.upper()} {here};branch={branch}",
            f"Max-Forwards: 70",
            f"From: {frm}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: {contact}",
            *more,
        ]
        if body:
            head.append("Content-Type: application/sdp")
        # RFC 7118 section 5.1: no Content-Length is needed.
        self.asked[branch] = (method, uri, to, call_id, body)
        await self.line.send("\r\n".join(head) + "\r\n\r\n" + body)

    async def respond(self, request, status, more=(), body=""):
        to = request.get("To") + ("" if ";tag=" in request.get("To") else ";tag=web")
        head = [f"SIP/2.0 {status} -", *(f"Via: {via}" for via in request.all("Via"))]
        head += [f"From: {request.get('From')}", f"To: {to}", f"Call-ID: {request.get('Call-ID')}"]
        head += [f"CSeq: {request.get('CSeq')}", f"Contact: {contact}", *more]
        await self.line.send("\r\n".join(head) + "\r\n\r\n" + body)

    async def response(self, message):
        status = int(message.start.split()[1])
        via = message.get("Via")
        method, uri, to, call_id, body = self.asked[via.split("branch=")[1].split(";")[0]]
        if status == 401:
            if method == "INVITE":
                await self.request("ACK", uri, message.get("To"), call_id)
            proof = digest(message.get("WWW-Authenticate"), method, uri)
            await self.request(method, uri, to, call_id, body, (f"Authorization: {proof}",))
        elif method == "REGISTER" and status == 200:
            assert here in message.get("Contact"), message.get("Contact")
            say("registered", message.get("Contact").split("expires=")[1])
        elif method == "INVITE" and status == 200:
            target = message.get("Contact").strip("<>")
            assert "transport=ws" in target and "m=audio" in message.body, message.lines
            self.dialog = (target, message.get("To"), call_id)
            await self.request("ACK", target, message.get("To"), call_id)
            say("confirmed")
        elif status >= 300:
            say("refused", status)

    async def hears(self):
        async for text in self.line:
            message = Message(text)
            if message.start.startswith("SIP/2.0"):
                await self.response(message)
                continue
            method = message.start.split()[0]
            if method == "INVITE":
                self.invite = message
                await self.respond(message, 180)
                say("incoming")
            elif method == "BYE":
                await self.respond(message, 200)
                say("disconnected")
            elif method != "ACK":
                await self.respond(message, 200)

    async def does(self, command, *words):
        registrar = f"sip:{server}"
        if command == "register":
            await self.request("REGISTER", registrar, f"<sip:{user}@{server}>", secrets.token_hex(8))
        elif command == "call":
            number = f"sip:{words[0]}@{server}"
            await self.request("INVITE", number, f"<{number}>", secrets.token_hex(8), SDP)
        elif command == "answer":
            await self.respond(self.invite, 200, ("Content-Type: application/sdp",), SDP)
        elif command == "hang_up":
            await self.request("BYE", *self.dialog)


async def main():
    trust = ssl.create_default_context(cafile=sys.argv[4]) if scheme == "wss" else None
    async with websockets.connect(url, subprotocols=["sip"], ssl=trust) as line:
        assert line.subprotocol == "sip"
        telephone = Telephone(line)
        hears = asyncio.create_task(telephone.hears())
        loop = asyncio.get_running_loop()
        while words := (await loop.run_in_executor(None, sys.stdin.readline)).split():
            await telephone.does(*words)
        hears.cancel()


asyncio.run(main())
