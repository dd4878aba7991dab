"""What spandsp's echo canceller (Debian's libspandsp2) leaves of the echo in a WAV file of 8 kHz.

    python3 echo.py GIVEN.wav SAID.wav LEFT.wav

GIVEN is what the phone was given to hear, SAID what came back from it, LEFT what others are to hear.
16 ms long, with adaption, non-linear processor, comfort noise and both high-passes.
"""

import array
import ctypes
import sys
import wave

LIBRARY = "libspandsp.so.2"
TAPS = 128
ADAPTION, NLP, COMFORT_NOISE, TX_HIGH_PASS, RX_HIGH_PASS = 0x01, 0x02, 0x04, 0x20, 0x40


def samples(path):
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return array.array("h", file.readframes(file.getnframes()))


def main():
    given, said = samples(sys.argv[1]), samples(sys.argv[2])
    spandsp = ctypes.CDLL(LIBRARY)
    spandsp.echo_can_init.restype = ctypes.c_void_p
    spandsp.echo_can_init.argtypes = [ctypes.c_int, ctypes.c_int]
    update = spandsp.echo_can_update
    update.restype = ctypes.c_int16
    update.argtypes = [ctypes.c_void_p, ctypes.c_int16, ctypes.c_int16]
    mode = ADAPTION | NLP | COMFORT_NOISE | TX_HIGH_PASS | RX_HIGH_PASS
    state = spandsp.echo_can_init(TAPS, mode)
    left = array.array("h", (update(state, tx, rx) for tx, rx in zip(given, said)))
    with wave.open(sys.argv[3], "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(left.tobytes())


if __name__ == "__main__":
    main()
