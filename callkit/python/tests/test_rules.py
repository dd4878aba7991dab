"""What a call plays, records and collects, without any telephone."""

import asyncio
import io
import math
import struct
import unittest
import wave

import voip
from voip.digits import Digits
from voip.mixer import Mixer, RecordController
from voip.pcm import floatToPacked, packedToFloat


class Playing(unittest.IsolatedAsyncioTestCase):
    async def test_playbacks_are_summed_and_stay_within_full_scale(self):
        mixer = Mixer()
        mixer.playPCM([0.25] * 3)
        mixer.playPCM([0.5, -0.5, 0.9, 0.9])
        mixer.playCustom(lambda t, delta: 0.0)
        self.assertEqual(mixer.speak(5), [0.75, -0.25, 1.0, 0.9, 0.0])

    async def test_a_playback_ends_with_its_last_sample(self):
        mixer = Mixer()
        future = mixer.playPCM([0.5] * 160)
        mixer.speak(160)
        self.assertFalse(future.done())
        mixer.speak(160)
        self.assertIs(future.result(), True)
        self.assertFalse(mixer.plays)

    async def test_what_is_cancelled_is_silent_from_the_next_sample(self):
        mixer = Mixer()
        cancelled, other = mixer.playPCM([0.5] * 9), mixer.playPCM([0.25] * 9)
        self.assertEqual(mixer.speak(1), [0.75])
        cancelled.cancel()
        self.assertEqual(mixer.speak(1), [0.25])
        self.assertFalse(other.done())

    async def test_a_loop_goes_on_and_an_empty_one_ends(self):
        mixer = Mixer()
        mixer.playPCM([0.1, 0.2, 0.3], loop=True)
        empty = mixer.playPCM([], loop=True)
        self.assertEqual(mixer.speak(7), [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1])
        self.assertEqual(mixer.speak(2), [0.2, 0.3])
        self.assertTrue(empty.done())

    async def test_a_tone_ends_when_more_than_its_duration_has_passed(self):
        mixer = Mixer()
        future = mixer.playTone(1000, 0.001)
        tone = mixer.speak(10)
        expected = [math.sin(2 * math.pi * i / 8) for i in range(9)] + [0.0]
        for a, b in zip(tone, expected):
            self.assertAlmostEqual(a, b, places=9)
        self.assertTrue(future.result())

    async def test_a_function_is_told_the_time_and_ends_with_none(self):
        mixer, told = Mixer(), []

        def function(t, delta):
            told.append((t, delta))
            return 0.5 if len(told) < 3 else None

        future = mixer.playCustom(function)
        self.assertEqual(mixer.speak(4), [0.5, 0.5, 0.0, 0.0])
        self.assertEqual(told, [(i / 8000, 1 / 8000) for i in range(3)])
        self.assertTrue(future.result())

    async def test_a_function_that_fails_fails_its_own_future_only(self):
        mixer = Mixer()
        broken, whole = mixer.playCustom(lambda t, delta: 1 / 0), mixer.playPCM([0.5, 0.5])
        self.assertEqual(mixer.speak(2), [0.5, 0.5])
        self.assertIsInstance(broken.exception(), ZeroDivisionError)
        self.assertFalse(whole.cancelled())


class Recording(unittest.IsolatedAsyncioTestCase):
    async def test_a_recording_has_its_length_and_others_hear_the_same(self):
        mixer, told = Mixer(), []
        short, long = mixer.recordPCM(maxlen=3), mixer.recordPCM(maxlen=5)
        custom = mixer.recordCustom(lambda x: told.append(x) or len(told) < 4)
        mixer.hear([0.1, 0.2, 0.3, 0.4])
        mixer.hear([0.5, 0.6])
        self.assertEqual(short.result(), [0.1, 0.2, 0.3])
        self.assertEqual(long.result(), [0.1, 0.2, 0.3, 0.4, 0.5])
        self.assertEqual(told, [0.1, 0.2, 0.3, 0.4])
        self.assertTrue(custom.done())

    async def test_a_controller_ends_it_at_the_next_sample(self):
        mixer, controller = Mixer(), RecordController()
        future = mixer.recordPCM(controller)
        mixer.hear([0.1, 0.2])
        controller.stop()
        self.assertFalse(future.done())
        mixer.hear([0.3, 0.4])
        self.assertEqual(future.result(), [0.1, 0.2, 0.3])

    async def test_one_that_nothing_can_end_is_refused(self):
        with self.assertRaisesRegex(Exception, "^recordPCM called with no way to stop recording$"):
            Mixer().recordPCM()


class Collecting(unittest.IsolatedAsyncioTestCase):
    async def test_digits_before_the_question_and_those_not_asked_for_are_let_go_by(self):
        digits, first = Digits(), []
        digits.press("9")
        answer = digits.getDTMF(2, filter="123", on_first=first.append)
        for digit in "4#1*2":
            digits.press(digit)
        self.assertEqual((answer.result(), first), ("12", ["1"]))
        digits.press("3")
        one = digits.getDTMF()
        digits.press("*")
        self.assertEqual(one.result(), "*")

    async def test_one_question_at_a_time_and_another_when_it_was_cancelled(self):
        digits = Digits()
        waiting = digits.getDTMF()
        with self.assertRaisesRegex(Exception, "^getDTMF already called and not resolved$"):
            digits.getDTMF()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting, 0.01)
        again = digits.getDTMF()
        digits.press("5")
        self.assertEqual(again.result(), "5")


def wav(rate, samples, length=None):
    octets = struct.pack(f"<{len(samples)}h", *samples)
    length = len(octets) if length is None else length
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = b"WAVE" + head + struct.pack("<4sI", b"data", length) + octets
    return io.BytesIO(struct.pack("<4sI", b"RIFF", len(data)) + data)


class Files(unittest.TestCase):
    def test_a_file_becomes_samples_and_back(self):
        self.assertEqual(voip.loadWAVtoPCM(wav(8000, [32767, 0, -32767])), [1.0, 0.0, -1.0])
        file = io.BytesIO()
        voip.savePCMtoWAV([0.5, -2.0], file)
        file.seek(0)
        self.assertEqual(voip.loadWAVtoPCM(file), [16383 / 32767, -1.0])

    def test_higher_rates_are_averaged_and_lower_ones_refused(self):
        self.assertEqual(
            voip.loadWAVtoPCM(wav(16000, [0, 32767, 32767, 32767])), [0.5, 1.0]
        )
        sine = [int(20000 * math.sin(2 * math.pi * 440 * i / 22050)) for i in range(22050)]
        pcm = voip.loadWAVtoPCM(wav(22050, sine))
        self.assertEqual(len(pcm), 8000)
        crossings = sum(a < 0 <= b for a, b in zip(pcm, pcm[1:]))
        self.assertIn(crossings, (439, 440))
        with self.assertRaises(AssertionError):
            voip.loadWAVtoPCM(wav(7999, [0]))

    def test_a_length_that_is_not_known_yet_is_not_believed(self):
        self.assertEqual(len(voip.loadWAVtoPCM(wav(8000, [1] * 100, 0x7FFFF000))), 100)

    def test_other_widths_are_refused_with_what_to_do(self):
        file = io.BytesIO()
        with wave.open(file, "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(1)
            w.setframerate(8000)
            w.writeframes(b"\x80" * 8)
        file.seek(0)
        with self.assertRaisesRegex(ValueError, "sox"):
            voip.loadWAVtoPCM(file)

    def test_octets_and_floats(self):
        self.assertEqual(packedToFloat(0x7F, 0xFF), 1.0)
        self.assertEqual(packedToFloat(0x80, 0x01), -1.0)
        self.assertEqual(floatToPacked(1.0), (0xFF, 0x7F))

    def test_silence_is_trimmed_and_the_rest_is_as_loud_as_can_be(self):
        self.assertEqual(voip.normalizePCM([0, 0.004, 0.25, 0, -0.5, 0.005]), [0.5, 0, -1.0])
        self.assertEqual(voip.normalizePCM([0.0] * 9), [])
        self.assertEqual(voip.normalizePCM([]), [])

    def test_speech_is_samples(self):
        pcm = voip.TTStoPCM("hello", ["-s", "140"])
        self.assertGreater(len(pcm), 2000)
        self.assertGreater(max(pcm), 0.1)
        with self.assertRaises(ValueError):
            voip.TTStoPCM("hello", engine="nobody")


if __name__ == "__main__":
    unittest.main()
