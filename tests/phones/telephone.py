"""A telephone made of pjsua2: takes commands on standard input, says what happens on its output.

Usage: telephone.py REGISTRAR USER PASSWORD [CERTIFICATE]; with the file of the only certificate that it
trusts it speaks TLS.
Commands: call NUMBER, answer, hold, resume, transfer NUMBER, keys rfc4733|info|audio DIGITS,
hang_up, quit. Says: registered, incoming, early, confirmed, disconnected STATUS, media active|held,
digit D, transfer STATUS.
"""

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


class Call(pj.Call):
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
phone = Phone()
phone.create(account)
tones = None


def obey(line):
    global tones
    words = line.split()
    command = words[0]
    if command == "call":
        call = Call(phone)
        phone.calls.append(call)
        call.makeCall(f"sip:{words[1]}@{registrar}{by_tls}", pj.CallOpParam(True))
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


try:
    while True:
        endpoint.libHandleEvents(10)
        if select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            obey(line)
finally:
    endpoint.hangupAllCalls()
    for _ in range(20):
        endpoint.libHandleEvents(10)
    phone.calls.clear()
    phone.shutdown()
    endpoint.libDestroy()
