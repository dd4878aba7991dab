"""Writes the caller ID that spandsp (Debian's libspandsp2) sends, to a WAV file of 8 kHz.

    python3 caller_id_sender.py class|clip|dtmf MESSAGE FILE.wav

MESSAGE is hexadecimal, from the type to the last parameter; spandsp adds the length and the checksum.
"""

import ctypes
import sys
import wave

from caller_id import LIBRARY, STANDARDS

BLOCK = 160
# What a telephone that lies hears before and after it, blocks.
SILENCE = 25


def main():
    standard, message = STANDARDS[sys.argv[1]], bytes.fromhex(sys.argv[2])
    spandsp = ctypes.CDLL(LIBRARY)
    spandsp.adsi_tx_init.restype = ctypes.c_void_p
    spandsp.adsi_tx_init.argtypes = [ctypes.c_void_p, ctypes.c_int]
    spandsp.adsi_tx_put_message.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    spandsp.adsi_tx.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    state = spandsp.adsi_tx_init(None, standard)
    if spandsp.adsi_tx_put_message(state, message, len(message)) <= 0:
        sys.exit("spandsp does not send this message")
    with wave.open(sys.argv[3], "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        silence = bytes(2 * BLOCK * SILENCE)
        file.writeframes(silence)
        block = ctypes.create_string_buffer(2 * BLOCK)
        while (count := spandsp.adsi_tx(state, block, BLOCK)) > 0:
            file.writeframes(block.raw[: 2 * count])
        file.writeframes(silence)


if __name__ == "__main__":
    main()
