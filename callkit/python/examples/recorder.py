"""Records what is said until a key is pressed, keeps it in a WAV file and plays it."""

import os
import time

import voip

FOLDER = os.environ.get("RECORDINGS", "recordings")


async def handler(call):
    await call.playTone(1000, 0.25)
    controller = voip.RecordController()
    recording = call.recordPCM(controller=controller, maxlen=600 * 8000)
    await call.getDTMF()
    controller.stop()
    pcm = await recording
    os.makedirs(FOLDER, exist_ok=True)
    voip.savePCMtoWAV(pcm, os.path.join(FOLDER, time.strftime("%Y%m%d-%H%M%S.wav")))
    await call.playPCM(pcm)


if __name__ == "__main__":
    voip.runVoipClient(handler)
