"""The examples and other handlers on the telephone in the program, with files as its handset."""

import math
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import voip

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))


def octets(pcm):
    return [int(max(-1.0, min(1.0, x)) * 32767) for x in pcm]


class Telephone:
    """A program on the simulated telephone: what it is said, its keys, what it lets one hear."""

    def __init__(self, source, keys="", says=(), arguments=(), environment=None):
        self.folder = tempfile.TemporaryDirectory()
        here = pathlib.Path(self.folder.name)
        microphone, self.earpiece = here / "said.wav", here / "heard.wav"
        voip.savePCMtoWAV(list(says), str(microphone))
        if source.endswith(".py"):
            program = [str(ROOT / "examples" / source)]
        else:
            program = ["-c", "import asyncio, voip\n" + source + "\nvoip.runVoipClient(handler)"]
        self.process = subprocess.Popen(
            [sys.executable, "-u", *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=here,
            env={
                **{k: v for k, v in os.environ.items() if k != "QUECEY_VOIP_REAL"},
                "PYTHONPATH": str(ROOT),
                "VOIP_MICROPHONE": str(microphone),
                "VOIP_EARPIECE": str(self.earpiece),
                **(environment or {}),
            },
        )
        self.said = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.press(keys)

    def _read(self):
        self.said.extend(iter(self.process.stdout.readline, ""))

    def press(self, keys):
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def heard(self):
        """What was heard until the program ended."""
        self.process.wait(60)
        self._reader.join()
        return octets(voip.loadWAVtoPCM(str(self.earpiece)))

    def output(self):
        return "".join(self.said)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self.folder.cleanup()


def where(heard, pcm, begin=0):
    """Where exactly these samples were heard, or -1."""
    pack = lambda samples: b"".join(x.to_bytes(2, "little", signed=True) for x in samples)  # noqa: E731
    haystack, needle = pack(heard), pack(octets(pcm))
    at = haystack.find(needle, 2 * begin)
    while at % 2 and at != -1:
        at = haystack.find(needle, at + 1)
    return at // 2 if at >= 0 else -1


def strength(samples, hz):
    """The part of a frequency in samples, as its amplitude."""
    angle = [2 * math.pi * hz * i / 8000 for i in range(len(samples))]
    real = sum(x * math.cos(a) for x, a in zip(samples, angle))
    imaginary = sum(x * math.sin(a) for x, a in zip(samples, angle))
    return 2 * math.hypot(real, imaginary) / max(1, len(samples)) / 32767


def tone(hz, seconds):
    return [math.sin(2 * math.pi * hz * i / 8000) for i in range(int(seconds * 8000) + 1)]


CHIRP = [0.5 * math.sin(i * i / 40000) for i in range(20 * 8000)]


class Examples(unittest.TestCase):
    """All of them run at once; each test looks at what became of one."""

    @classmethod
    def setUpClass(cls):
        import memo

        cls.memos = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.memos.cleanup)
        memos = {"MEMOS": cls.memos.name}
        speak = "," * (len(memo.SPEAK) // 4000 + 3)
        cls.calls = {}
        for name, program, named in (
            ("memo", "memo.py", {"keys": f",42#{speak},#", "says": CHIRP, "environment": memos}),
            ("hello", "hello.py", {"arguments": ["5551234"]}),
            ("password", "password.py", {"keys": ",,9999,,,1234"}),
            ("tree dials", "phone_tree.py", {"keys": ",1234,1"}),
            ("tree hangs up", "phone_tree.py", {"keys": ",1234,2"}),
            ("tree refuses", "phone_tree.py", {"keys": ",1235"}),
            ("echo", "echo.py", {"keys": ",,,,,,,,,,*", "says": CHIRP}),
            ("samples", "echo_samples.py", {"keys": ",,,,,h", "says": CHIRP}),
            ("recorder", "recorder.py", {"keys": ",,,,5", "says": CHIRP}),
            ("menu", "voice_tree.py", {"keys": ",3,,,,2,,*"}),
            ("notes", "synthesiser.py", {"keys": ",08,,*,#"}),
            ("picture", "sstv.py", {"keys": ",,,,h"}),
        ):
            cls.calls[name] = Telephone(program, **named)
            cls.addClassCleanup(cls.calls[name].close)

    def test_hello_is_said_whole_and_the_caller_named(self):
        import hello

        call = self.calls["hello"]
        self.assertGreaterEqual(where(call.heard(), hello.HELLO), 0)
        self.assertIn('"FAKE CALLER" <sip:5551234@127.0.0.1>', call.output())
        self.assertIn("[the call is over]", call.output())

    def test_a_wrong_and_the_right_password(self):
        import password

        heard = self.calls["password"].heard()
        tones = [where(heard, tone(hz, 0.2)) for hz in (440, 550, 660)]
        self.assertEqual(tones, sorted(tones))
        wrong = where(heard, password.WRONG)
        self.assertTrue(0 <= tones[0] < wrong < where(heard, password.CORRECT), (tones, wrong))

    def test_the_tree_of_the_readme(self):
        dials, hangs_up, refuses = (
            self.calls[f"tree {what}"] for what in ("dials", "hangs up", "refuses")
        )
        password = voip.TTStoPCM("Your password, please.")[:2000]
        self.assertGreaterEqual(where(dials.heard(), password), 0)
        self.assertIn("[transferred to 102", dials.output())
        hangs_up.heard()
        self.assertNotIn("transferred", hangs_up.output())
        self.assertIn("[the call is over]", hangs_up.output())
        refuses.heard()
        self.assertNotIn("transferred", refuses.output())

    def test_two_seconds_come_back(self):
        heard = self.calls["echo"].heard()
        begin = where(heard, tone(1000, 0.2)) + 1601
        # What was said during the tone is not in it.
        back = heard[begin + 16000 + 400 : begin + 32000 - 400]
        self.assertGreaterEqual(where(octets(CHIRP), [x / 32767 for x in back]), 1601)

    def test_each_sample_comes_back_half_a_second_later(self):
        call = self.calls["samples"]
        heard = call.heard()
        self.assertTrue(0 <= where(heard, CHIRP[1600:9600]) - 1600 - 4000 <= 320)
        self.assertIn("[the caller hung up]", call.output())

    def test_a_memo_is_kept_and_told_again(self):
        import memo

        self.assertGreaterEqual(where(self.calls["memo"].heard(), memo.SPEAK), 0)
        kept = voip.loadWAVtoPCM(os.path.join(self.memos.name, "42.wav"))
        self.assertGreater(len(kept), 4000)
        again = Telephone("memo.py", keys=",42#", environment={"MEMOS": self.memos.name})
        self.addCleanup(again.close)
        self.assertGreaterEqual(where(again.heard(), kept), 0)

    def test_a_recording_is_played_back(self):
        heard = self.calls["recorder"].heard()
        begin = where(heard, tone(1000, 0.25))
        back = next(i for i in range(begin + 2001, len(heard)) if heard[i])
        back = [x / 32767 for x in heard[back + 80 : back + 8000]]
        self.assertGreaterEqual(where(octets(CHIRP), back), 2001)

    def test_the_menu_is_cut_by_a_key(self):
        import voice_tree

        heard = self.calls["menu"].heard()
        self.assertEqual(where(heard, voice_tree.MENU), -1)
        self.assertGreaterEqual(where(heard, voip.TTStoPCM("You are FAKE CALLER")), 0)
        self.assertGreaterEqual(where(heard, tone(425, 0.5)), 0)
        self.assertGreaterEqual(where(heard, voice_tree.BYE), 0)

    def test_notes_sound_together_until_they_are_silenced(self):
        heard = self.calls["notes"].heard()
        begin = next(i for i, x in enumerate(heard) if x)
        together = heard[begin + 1600 : begin + 5600]
        self.assertGreater(strength(together, 440), 0.1)
        self.assertGreater(strength(together, 110), 0.05)
        self.assertEqual(set(heard[-1600:-800]), {0})

    def test_a_picture_begins_with_its_code_and_its_colours(self):
        heard = self.calls["picture"].heard()
        begin = next(i for i, x in enumerate(heard) if x)

        def hz(from_ms, to_ms):
            piece = heard[begin + int(from_ms * 8) : begin + int(to_ms * 8)]
            return max(range(1000, 2400, 20), key=lambda hz: strength(piece, hz))

        self.assertEqual(hz(20, 280), 1900)
        bits = [hz(640 + 30 * n + 3, 640 + 30 * n + 27) < 1200 for n in range(7)]
        self.assertEqual(sum(bit << n for n, bit in enumerate(bits)), 44)
        # The first line's green: full in the first half of it, none in the second.
        line = 640 + 30 * 9 + 4.862 + 0.572
        self.assertAlmostEqual(hz(line + 5, line + 68), 2300, delta=20)
        self.assertAlmostEqual(hz(line + 78, line + 140), 1500, delta=20)


class Endings(unittest.TestCase):
    def call(self, source):
        telephone = Telephone(source)
        self.addCleanup(telephone.close)
        return telephone

    def test_what_a_handler_fails_with_is_printed(self):
        call = self.call("async def handler(call):\n    raise KeyError('x')")
        call.heard()
        self.assertIn("Unhandled KeyError exception in call handler: 'x'", call.output())
        self.assertEqual(call.process.returncode, 0)

    def test_a_handler_is_cancelled_when_the_caller_hangs_up_or_control_c_is_pressed(self):
        source = (
            "async def handler(call):\n"
            "    print('ready', flush=True)\n"
            "    try:\n"
            "        await call.getDTMF()\n"
            "    except asyncio.CancelledError:\n"
            "        print('cancelled')\n"
            "        raise\n"
        )
        for end in ("h", None):
            call = self.call(source)
            begin = time.monotonic()
            while "ready" not in call.output() and time.monotonic() < begin + 60:
                time.sleep(0.01)
            call.press(end) if end else call.process.send_signal(2)
            call.heard()
            self.assertIn("cancelled\n", call.output())
            self.assertIn("[the caller hung up]", call.output())

    def test_one_caller_at_a_time(self):
        import asyncio

        class Busy:
            def __init__(self):
                self.tones = []

            async def playPCM(self, pcm):
                pass

            async def playTone(self, pitch, duration):
                self.tones.append(pitch)

        async def both():
            released = asyncio.Event()

            @voip.one_at_a_time
            async def handler(call):
                await released.wait()
                return "served"

            first, second = asyncio.ensure_future(handler(Busy())), Busy()
            await asyncio.sleep(0)
            await handler(second)
            released.set()
            self.assertEqual(await first, "served")
            self.assertEqual(await handler(Busy()), "served")
            return second.tones

        self.assertEqual(asyncio.run(both()), [425] * 4)


if __name__ == "__main__":
    unittest.main()
