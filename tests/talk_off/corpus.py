"""Speech and music for the talk-off test: 8 kHz, 16 bits, one channel.

    python3 corpus.py FOLDER

makes what is synthesised in FOLDER, where it stays, and prints a line for every file, with tabs
between: what the source is, `speech` or `music`, the file. Sources are Debian's
asterisk-core-sounds-*-wav and asterisk-moh-opsound-wav, espeak-ng and flite; one that is not
installed is an error, lest the test is a shorter one than it says.
"""

import glob
import os
import random
import subprocess
import sys

SOUNDS = "/usr/share/asterisk/sounds"
PROMPTS = ["en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"]
MUSIC = "/usr/share/asterisk/moh"
# Language, and what makes other people of espeak-ng's voice of it.
ESPEAK = [
    *(("en-us", variant) for variant in ("m3", "f2", "croak")),
    *(("en-gb-scotland", variant) for variant in ("m7", "f4")),
    *(("de", variant) for variant in ("m2", "f1", "m5")),
    *(("fr-fr", variant) for variant in ("m1", "f3")),
    *(("es", variant) for variant in ("m4", "f5")),
    *(("it", variant) for variant in ("m6", "f2")),
    *(("ru", variant) for variant in ("m3", "f1")),
]
FLITE = ["kal16", "awb", "rms", "slt"]
# Every voice says so many utterances of so many words.
UTTERANCES, WORDS = 40, 36
# Universal Declaration of Human Rights, articles 1 and 3; its words are said in any order.
TEXTS = {
    "en": "all human beings are born free and equal in dignity and rights they are endowed with "
    "reason and conscience and should act towards one another in a spirit of brotherhood "
    "everyone has the right to life liberty and security of person",
    "de": "alle Menschen sind frei und gleich an Würde und Rechten geboren sie sind mit Vernunft "
    "und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen jeder hat "
    "das Recht auf Leben Freiheit und Sicherheit der Person",
    "fr": "tous les êtres humains naissent libres et égaux en dignité et en droits ils sont doués "
    "de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
    "fraternité tout individu a droit à la vie à la liberté et à la sûreté de sa personne",
    "es": "todos los seres humanos nacen libres e iguales en dignidad y derechos y dotados como "
    "están de razón y conciencia deben comportarse fraternalmente los unos con los otros todo "
    "individuo tiene derecho a la vida a la libertad y a la seguridad de su persona",
    "it": "tutti gli esseri umani nascono liberi ed eguali in dignità e diritti essi sono dotati "
    "di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza "
    "ogni individuo ha diritto alla vita alla libertà ed alla sicurezza della propria persona",
    "ru": "все люди рождаются свободными и равными в своем достоинстве и правах они наделены "
    "разумом и совестью и должны поступать в отношении друг друга в духе братства каждый "
    "человек имеет право на жизнь на свободу и на личную неприкосновенность",
}


def utterances(language, seed):
    """What one voice says: words and numbers in any order, the same each time."""
    chance = random.Random(seed)
    words = TEXTS[language[:2]].split()
    for _ in range(UTTERANCES):
        said = [
            chance.choice(words) if chance.random() < 0.9 else str(chance.randrange(10_000))
            for _ in range(WORDS)
        ]
        yield " ".join(said) + ".", chance.randrange(20, 80), chance.randrange(120, 220)


def synthesised(folder, name, said, speak):
    """One file of all that a voice says, made once."""
    path = os.path.join(folder, f"{name}.wav")
    if not os.path.exists(path):
        parts = []
        for number, (text, pitch, words_a_minute) in enumerate(said):
            part = os.path.join(folder, f"part{number}.wav")
            speak(part, text, pitch, words_a_minute)
            parts.append(part)
        made = path + ".made.wav"
        subprocess.run(["sox", "-G", *parts, "-r", "8000", "-c", "1", "-b", "16", made], check=True)
        os.rename(made, path)
        for part in parts:
            os.remove(part)
    return path


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for voice in PROMPTS:
        files = sorted(glob.glob(f"{SOUNDS}/{voice}/**/*.wav", recursive=True))
        if not files:
            sys.exit(f"there is no {SOUNDS}/{voice}: apt-get install asterisk-core-sounds-*-wav")
        for path in files:
            print(f"asterisk-core-sounds {voice}", "speech", path, sep="\t")
    for language, variant in ESPEAK:
        name = f"espeak-ng {language} {variant}"

        def speak(path, text, pitch, words_a_minute, voice=f"{language}+{variant}"):
            options = ["-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "-w", path]
            subprocess.run(["espeak-ng", *options, text], check=True)

        print(name, "speech", synthesised(folder, name, utterances(language, name), speak), sep="\t")
    for voice in FLITE:
        name = f"flite {voice}"

        def speak(path, text, pitch, words_a_minute, voice=voice):
            stretch = f"duration_stretch={170 / words_a_minute:.2f}"
            pitch = f"int_f0_target_mean={90 + pitch}"
            options = ["-voice", voice, "--setf", stretch, "--setf", pitch, "-t", text, "-o", path]
            subprocess.run(["flite", *options], check=True)

        print(name, "speech", synthesised(folder, name, utterances("en", name), speak), sep="\t")
    music = sorted(glob.glob(f"{MUSIC}/*.wav"))
    if not music:
        sys.exit(f"there is no {MUSIC}: apt-get install asterisk-moh-opsound-wav")
    for path in music:
        print("asterisk-moh-opsound", "music", path, sep="\t")


if __name__ == "__main__":
    main()
