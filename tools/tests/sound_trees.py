"""Small trees of recordings, in the exact layouts in which data sets are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np

URBANSOUND8K_HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class"
URBANSOUND8K_CLASSES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)


def write_noise(path: Path, seconds: float, rate: int = 16000, *, seed: int = 0, channels: int = 1) -> Path:
    """White noise of that length; 16 bits where the format has them."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (round(rate * seconds), channels)
    soundfile.write(path, np.random.default_rng(seed).normal(size=shape) * 0.1, rate)
    return path


def make_urbansound8k(directory: Path) -> Path:
    """Two classes, ten folds, one clip of each in each; salience 1 in even folds, 2 in odd ones.

    Names are FSID-CLASS-OCCURRENCE-SLICE.wav; sample rates, channels and lengths differ as in the original.
    """
    lines = [URBANSOUND8K_HEADER]
    for fold in range(1, 11):
        for class_id in (3, 8):
            name = f"{100000 + 10 * fold + class_id}-{class_id}-0-{fold}.wav"
            seconds = 0.5 if fold == 3 else 4.0 if fold == 4 else 1.0
            write_noise(
                directory / "audio" / f"fold{fold}" / name,
                seconds,
                (44100, 48000, 22050)[fold % 3],
                seed=fold,
                channels=1 + fold % 2,
            )
            lines.append(
                f"{name},{100000 + 10 * fold + class_id},0.0,{seconds},{1 + fold % 2},{fold},{class_id},"
                f"{URBANSOUND8K_CLASSES[class_id]}"
            )
        (directory / "audio" / f"fold{fold}" / ".DS_Store").write_bytes(b"\0")
    table = directory / "metadata" / "UrbanSound8K.csv"
    table.parent.mkdir()
    table.write_text("\n".join(lines) + "\n")
    (directory / "FREESOUNDCREDITS.txt").write_text("…\n")
    return directory


SPEAKERS = tuple(f"{number:08x}" for number in range(0x0A7C2A8D, 0x0A7C2A8D + 10))


def make_speech_commands(directory: Path, words: tuple[str, ...] = ("yes", "no", "bed", "cat")) -> Path:
    """Ten speakers say every word once; two of them are in testing_list.txt, one in validation_list.txt."""
    for number, speaker in enumerate(SPEAKERS):
        for index, word in enumerate(words):
            name = directory / word / f"{speaker}_nohash_{index % 2}.wav"
            write_noise(name, 0.7 if number == 5 else 1.0, seed=10 * number + index)
    for seed, name in enumerate(("white_noise", "doing_the_dishes")):
        write_noise(directory / "_background_noise_" / f"{name}.wav", 20.0, seed=seed)
    (directory / "_background_noise_" / "README.md").write_text("…\n")
    for list_name, speakers in (("testing_list.txt", SPEAKERS[:2]), ("validation_list.txt", SPEAKERS[2:3])):
        listed = [
            f"{word}/{speaker}_nohash_{index % 2}.wav"
            for index, word in enumerate(words)
            for speaker in speakers
        ]
        (directory / list_name).write_text("\n".join(listed) + "\n")
    for name in ("LICENSE", "README.md"):
        (directory / name).write_text("…\n")
    return directory
