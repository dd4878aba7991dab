"""Keeps a spoken memo under each number: dial a number and #, speak, press # again."""

import asyncio
import os

import voip

FOLDER = os.environ.get("MEMOS", "memos")
WHICH = voip.TTStoPCM("Dial the number of your memo, then hash.")
SPEAK = voip.TTStoPCM("Speak after the tone, then press hash.")
LONGEST_S = 120


async def number(call):
    prompt, digits = call.playPCM(WHICH), ""
    while (key := await call.getDTMF(filter="0123456789#")) != "#" and len(digits) < 20:
        prompt.cancel()
        digits += key
    prompt.cancel()
    return digits


async def handler(call):
    digits = await number(call)
    if not digits:
        return
    path = os.path.join(FOLDER, f"{digits}.wav")
    if os.path.exists(path):
        await call.playPCM(voip.loadWAVtoPCM(path))
        return
    await call.playPCM(SPEAK)
    await call.playTone(1000, 0.25)
    controller = voip.RecordController()
    memo = call.recordPCM(controller=controller)
    try:
        await asyncio.wait_for(call.getDTMF(filter="#"), LONGEST_S)
    except asyncio.TimeoutError:
        await call.playTone(900, 0.1)
    controller.stop()
    os.makedirs(FOLDER, exist_ok=True)
    voip.savePCMtoWAV(voip.normalizePCM(await memo), path)


if __name__ == "__main__":
    voip.runVoipClient(handler)
