"""Text to speech by programs that are installed."""

import io
import shutil
import subprocess

from .pcm import loadWAVtoPCM


def TTStoPCM(text, opts=(), engine="espeak"):
    """Speech as samples. `opts` are options of the program, as ["-v", "en-us", "-s", "140"].

    `engine` is "espeak" (also espeak-ng, whichever is there) or "rhvoice" (RHVoice-test). The program
    has one second; FileNotFoundError where it is not installed.
    """
    if engine == "espeak":
        program = shutil.which("espeak-ng") or shutil.which("espeak")
        if program is None:
            raise FileNotFoundError("speech needs espeak-ng: sudo apt-get install espeak-ng")
        # By standard input, so that no text is taken for an option.
        command = [program, "--stdin", "--stdout", *opts]
    elif engine == "rhvoice":
        command = ["RHVoice-test", "-o", "/dev/stdout", *(opts or ("-p", "bdl"))]
    else:
        raise ValueError(f"there is no engine {engine!r}; there are espeak and rhvoice")
    spoken = subprocess.run(
        command, input=text.encode("utf-8"), capture_output=True, timeout=1, check=False
    )
    if spoken.returncode != 0 or not spoken.stdout:
        raise RuntimeError(f"{command[0]}: {spoken.stderr.decode('utf-8', 'replace').strip()}")
    return loadWAVtoPCM(io.BytesIO(spoken.stdout))
