"""What spandsp's DTMF receiver (Debian's libspandsp2) hears in a WAV file of 8 kHz.

    python3 dtmf.py FILE.wav SAMPLES

prints a line for every SAMPLES samples of the file: the digits heard in them. A golden reader: it
has nothing of Tipring. The receiver takes 102 samples at once, so a digit may be told a block late.
"""

import ctypes
import sys
import wave

LIBRARY = "libspandsp.so.2"


def receiver(spandsp):
    """A receiver with spandsp's own settings; digits are kept until they are asked for."""
    spandsp.dtmf_rx_init.restype = ctypes.c_void_p
    spandsp.dtmf_rx_init.argtypes = [ctypes.c_void_p] * 3
    spandsp.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    spandsp.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    spandsp.dtmf_rx_get.restype = ctypes.c_size_t
    return spandsp.dtmf_rx_init(None, None, None)


def main():
    path, samples = sys.argv[1], int(sys.argv[2])
    spandsp = ctypes.CDLL(LIBRARY)
    state = receiver(spandsp)
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        while len(block := file.readframes(samples)) > 0:
            spandsp.dtmf_rx(state, block, len(block) // 2)
            digits = ctypes.create_string_buffer(129)
            spandsp.dtmf_rx_get(state, digits, 128)
            print(digits.value.decode())


if __name__ == "__main__":
    main()
