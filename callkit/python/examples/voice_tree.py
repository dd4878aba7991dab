"""A menu that can be interrupted by pressing a key."""

import datetime

import voip

MENU = voip.TTStoPCM("Press 1 for the time, 2 for a tone, 3 to hear who you are, star to leave.")
BYE = voip.TTStoPCM("Goodbye.")


async def choice(call, prompt):
    playing = call.playPCM(prompt)
    return await call.getDTMF(filter="123*", on_first=lambda _: playing.cancel())


async def handler(call):
    while (key := await choice(call, MENU)) != "*":
        if key == "1":
            await call.playPCM(voip.TTStoPCM(datetime.datetime.now().strftime("It is %H %M.")))
        elif key == "2":
            await call.playTone(425, 0.5)
        else:
            await call.playPCM(voip.TTStoPCM("You are " + call.getRemoteUri().split('"')[1]))
    await call.playPCM(BYE)


if __name__ == "__main__":
    voip.runVoipClient(handler)
