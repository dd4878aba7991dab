"""What spandsp's caller ID receiver (Debian's libspandsp2) reads in a WAV file of 8 kHz.

    python3 caller_id.py FILE.wav [class|clip|dtmf]

prints a line for every message of Bell 202 (`class`: Telcordia GR-30), V.23 (`clip`: ETSI EN 300 659)
or DTMF (`dtmf`): its octets in hexadecimal. A golden reader: it has nothing of Tipring.
"""

import ctypes
import sys
import wave

LIBRARY = "libspandsp.so.2"
# ADSI_STANDARD_... of spandsp/adsi.h.
STANDARDS = {"class": 1, "clip": 2, "dtmf": 5}
BLOCK = 160
PUT_MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int)


@PUT_MESSAGE
def put_message(_, octets, count):
    print(bytes(octets[:count]).hex())


def main():
    standard = STANDARDS[sys.argv[2] if len(sys.argv) > 2 else "class"]
    spandsp = ctypes.CDLL(LIBRARY)
    spandsp.adsi_rx_init.restype = ctypes.c_void_p
    spandsp.adsi_rx_init.argtypes = [ctypes.c_void_p, ctypes.c_int, PUT_MESSAGE, ctypes.c_void_p]
    spandsp.adsi_rx.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    state = spandsp.adsi_rx_init(None, standard, put_message, None)
    with wave.open(sys.argv[1]) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        while len(block := file.readframes(BLOCK)) > 0:
            spandsp.adsi_rx(state, block, len(block) // 2)


if __name__ == "__main__":
    main()
