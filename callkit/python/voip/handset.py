"""What the simulated telephone is held to one's ear with: two WAV files, or the sound card.

VOIP_MICROPHONE names a WAV file that is said, VOIP_EARPIECE one into which is written what is heard;
with one of them there is no sound card. Else PyAudio is taken where it is installed, then arecord and
aplay (Debian: alsa-utils).
"""

import asyncio
import os
import shutil
import time
import wave

from .pcm import FRAME, RATE, from_octets, loadWAVtoPCM, to_octets

FRAME_S = FRAME / RATE
OCTETS = 2 * FRAME


async def open_handset():
    """The handset that there is; one without sound where there is none."""
    microphone, earpiece = os.environ.get("VOIP_MICROPHONE"), os.environ.get("VOIP_EARPIECE")
    if microphone or earpiece:
        return FileHandset(microphone, earpiece)
    try:
        return PyAudioHandset()
    except ImportError:
        pass
    except OSError as error:
        print(f"[PyAudio finds no sound card: {error}]")
    if shutil.which("arecord") and shutil.which("aplay"):
        return await ProgramHandset.open()
    print("[no sound: install PyAudio or alsa-utils, or set VOIP_EARPIECE=heard.wav]", flush=True)
    return FileHandset(None, None)


class FileHandset:
    """WAV files, in real time."""

    def __init__(self, microphone, earpiece):
        self._said = loadWAVtoPCM(microphone) if microphone else []
        self._at = 0
        self._heard = None
        if earpiece:
            self._heard = wave.open(earpiece, "wb")
            self._heard.setnchannels(1)
            self._heard.setsampwidth(2)
            self._heard.setframerate(RATE)
        self._due = time.monotonic()

    async def read(self):
        """The next 20 ms that are said, when they have passed; silence after the end of the file."""
        self._due += FRAME_S
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        said = self._said[self._at : self._at + FRAME]
        self._at += FRAME
        return said + [0.0] * (FRAME - len(said))

    async def write(self, pcm):
        """20 ms that are heard."""
        if self._heard is not None:
            # The header tells the right length at each moment.
            self._heard.writeframes(to_octets(pcm))

    def close(self):
        """The file is whole."""
        if self._heard is not None:
            self._heard.close()


class ProgramHandset:
    """arecord and aplay: the system's sound card."""

    def __init__(self, ear, mouth):
        self._ear = ear
        self._mouth = mouth

    @classmethod
    async def open(cls):
        """Starts both."""
        options = ("-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1")
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        mouth = await asyncio.create_subprocess_exec("arecord", *options, stdin=none, stdout=pipe)
        ear = await asyncio.create_subprocess_exec("aplay", *options, stdin=pipe, stdout=none)
        return cls(ear, mouth)

    async def read(self):
        """The next 20 ms from the microphone. OSError when arecord has ended."""
        try:
            return from_octets(await self._mouth.stdout.readexactly(OCTETS))
        except asyncio.IncompleteReadError as error:
            raise OSError("arecord ended; is there a sound card?") from error

    async def write(self, pcm):
        """20 ms for the loudspeaker."""
        self._ear.stdin.write(to_octets(pcm))
        await self._ear.stdin.drain()

    def close(self):
        """Ends both."""
        for program in (self._ear, self._mouth):
            if program.returncode is None:
                program.terminate()


class PyAudioHandset:
    """The sound card by PyAudio."""

    def __init__(self):
        import pyaudio

        self._audio = pyaudio.PyAudio()
        self._stream = self._audio.open(
            format=pyaudio.paInt16,
            channels=1,
            rate=RATE,
            input=True,
            output=True,
            frames_per_buffer=FRAME,
        )

    async def read(self):
        """The next 20 ms from the microphone."""
        read = lambda: self._stream.read(FRAME, exception_on_overflow=False)  # noqa: E731
        return from_octets(await asyncio.get_running_loop().run_in_executor(None, read))

    async def write(self, pcm):
        """20 ms for the loudspeaker."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._stream.write, to_octets(pcm))

    def close(self):
        """Gives the sound card back."""
        self._stream.close()
        self._audio.terminate()
