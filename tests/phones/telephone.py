"""A telephone made of pjsua2: takes commands on standard input, says what happens on its output.

Usage: telephone.py REGISTRAR USER PASSWORD [CERTIFICATE]; with the file of the only certificate that it
trusts it speaks TLS, and encrypts its audio where the other side can.
Commands: no_events (calls offer no telephone-event from now on), call NUMBER, answer, hold, resume,
transfer NUMBER, keys rfc4733|info|audio DIGITS, hang_up, quit. Says: registered, incoming, early, confirmed,
disconnected STATUS, media active|held, digit D, transfer STATUS.
"""

import os
import re
import select
import sys

import pjsua2 as pj

registrar, user, password = sys.argv[1:4]
trusts = sys.argv[4] if len(sys.argv) > 4 else None
by_tls = ";transport=tls" if trusts else ""


def say(*words):
    # In one piece: threads speak at once.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


offers_events = True


def without_events(sdp):
    """A description whose audio has no telephone-event (RFC 4733)."""
    events = re.findall(r"a=rtpmap:(\d+) telephone-event/.*\r\n", sdp)
    for payload in events:
        sdp = re.sub(rf"a=(rtpmap|fmtp):{payload} .*\r\n", "", sdp)
        sdp = re.sub(rf"(m=audio .*) {payload}\b", r"\1", sdp)
    return sdp


class Call(pj.Call):
    def onCallSdpCreated(self, prm):
        if not offers_events:
            prm.sdp.wholeSdp = without_events(prm.sdp.wholeSdp)

    def onCallState(self, prm):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY:
            say("early")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            say("confirmed")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            say("disconnected", info.lastStatusCode)
            phone.calls.remove(self)

    def onCallMediaState(self, prm):
        for media in self.getInfo().media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO:
                active = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
                say("media", "active" if active else "held")

    def onDtmfDigit(self, prm):
        say("digit", prm.digit)

    def onCallTransferStatus(self, prm):
        say("transfer", prm.statusCode)


class Phone(pj.Account):
    calls = []

    def onRegState(self, prm):
        say("registered" if self.getInfo().regIsActive else f"refused {prm.code}")

    def onIncomingCall(self, prm):
        self.calls.append(Call(self, prm.callId))
        say("incoming")


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = True
config.logConfig.level = 0
config.logConfig.consoleLevel = 0
# Nobody speaks into it, and it sends all the same; also a second after an earlier call.
config.medConfig.noVad = True
config.medConfig.sndAutoCloseTime = -1
endpoint.libInit(config)
transport = pj.TransportConfig()
transport.boundAddress = "127.0.0.1"
if trusts:
    transport.tlsConfig.CaListFile = trusts
    transport.tlsConfig.verifyServer = True
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, transport)
else:
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
endpoint.audDevManager().setNullDev()
for codec in endpoint.codecEnum2():
    endpoint.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith("PCMU") else 0)

account = pj.AccountConfig()
account.idUri = f"sip:{user}@{registrar}"
account.regConfig.registrarUri = f"sip:{registrar}{by_tls}"
account.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
account.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
account.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL if trusts else pj.PJMEDIA_SRTP_DISABLED
phone = Phone()
phone.create(account)
tones = None


def obey(line):
    global tones, offers_events
    words = line.split()
    command = words[0]
    if command == "call":
        call = Call(phone)
        phone.calls.append(call)
        call.makeCall(f"sip:{words[1]}@{registrar}{by_tls}", pj.CallOpParam(True))
        return
    if command == "no_events":
        offers_events = False
        return
    if command == "quit":
        raise SystemExit
    call = phone.calls[-1]
    prm = pj.CallOpParam(True)
    if command == "answer":
        prm.statusCode = 200
        call.answer(prm)
    elif command == "hold":
        call.setHold(prm)
    elif command == "resume":
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        call.reinvite(prm)
    elif command == "transfer":
        call.xfer(f"sip:{words[1]}@{registrar}", prm)
    elif command == "hang_up":
        call.hangup(pj.CallOpParam())
    elif command == "keys" and words[1] == "audio":
        tones = pj.ToneGenerator()
        tones.createToneGenerator(8000, 1)
        tones.startTransmit(call.getAudioMedia(-1))
        digits = pj.ToneDigitVector()
        for key in words[2]:
            digit = pj.ToneDigit()
            digit.digit, digit.on_msec, digit.off_msec, digit.volume = key, 120, 120, 0
            digits.append(digit)
        tones.playDigits(digits)
    elif command == "keys":
        keys = pj.CallSendDtmfParam()
        info = words[1] == "info"
        keys.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if info else pj.PJSUA_DTMF_METHOD_RFC2833
        keys.digits, keys.duration = words[2], 120
        call.sendDtmf(keys)


commands = b""
try:
    while True:
        endpoint.libHandleEvents(10)
        if select.select([sys.stdin], [], [], 0)[0]:
            # Not readline: it would keep a second line where select does not see it.
            block = os.read(0, 4096)
            if not block:
                break
            *lines, commands = (commands + block).split(b"\n")
            for line in lines:
                obey(line.decode())
finally:
    endpoint.hangupAllCalls()
    for _ in range(20):
        endpoint.libHandleEvents(10)
    phone.calls.clear()
    phone.shutdown()
    endpoint.libDestroy()
