"""Three tones, then four digits: 1234 is the password."""

import voip

CORRECT = voip.TTStoPCM("password correct")
WRONG = voip.TTStoPCM("wrong")


async def handler(call):
    for pitch in (440, 550, 660):
        await call.playTone(pitch, 0.2)
    while await call.getDTMF(4) != "1234":
        await call.playPCM(WRONG)
    await call.playPCM(CORRECT)


if __name__ == "__main__":
    voip.runVoipClient(handler)
