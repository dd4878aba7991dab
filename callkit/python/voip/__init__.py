"""Phone calls held by asyncio programs.

A handler is a coroutine that is given a call::

    import voip

    async def handler(call):
        await call.playTone(440, 1)
        print(await call.getDTMF(4))

    voip.runVoipClient(handler)

As it stands this runs on a telephone that is simulated in the program itself: the keyboard is its
keypad, the sound card or two WAV files are its handset. With QUECEY_VOIP_REAL in the environment the
same program answers every call to a number of a running Tipring.
"""

from .call import Call, CallError
from .digits import Digits
from .mixer import RecordController
from .once import one_at_a_time
from .pcm import loadWAVtoPCM, normalizePCM, savePCMtoWAV
from .run import runVoipClient
from .tts import TTStoPCM

__all__ = [
    "Call",
    "CallError",
    "Digits",
    "RecordController",
    "TTStoPCM",
    "loadWAVtoPCM",
    "normalizePCM",
    "one_at_a_time",
    "runVoipClient",
    "savePCMtoWAV",
]
