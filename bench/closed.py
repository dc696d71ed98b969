"""Whisper on weights that know their words: what company costs in text, and how many words are wrong.

The weights are those of tests/audio/whisper-closed, their recordings are put together to talks of one to five sentences. They
are small, so how fast they are says little: `bench/windows.py` measures that on weights of a true size.
"""

from pathlib import Path

import numpy as np

from bench.command_line import parley
from bench.report import Row
from bench.windows import LENIENT, NUM_FILES, Alone, Samples, in_turns, together, write_wav
from tests.builders_closed import CLOSED, error_rate, talks
from tests.live import running_server


def in_a_quiet_room(samples: Samples) -> Samples:
    """The sound with the faintest noise: of digital silence Parley leaves out what is long, and its peer nothing, so that their
    windows would begin at other moments."""
    noise = np.random.default_rng(1).integers(-3, 4, len(samples))
    noisy: Samples = np.clip(samples + noise, -32_768, 32_767).astype(np.int16)
    return noisy


def compare(folder: Path, *, num_passes: int) -> list[Row]:
    """The batch on each side in turns: where nothing is decoded twice, and as both come."""
    alone, made = Alone(CLOSED), talks(NUM_FILES, seed=11)
    (folder / "lenient").mkdir(parents=True)
    (folder / "usual").mkdir()
    files = [write_wav(folder / f"{number}.wav", in_a_quiet_room(each.samples)) for number, each in enumerate(made)]
    with running_server(folder / "lenient", LENIENT) as server:
        parley(server, "models", "add", str(CLOSED))
        together(server, files[:1])
        turns = in_turns(server, alone, files, num_passes=num_passes)
    with running_server(folder / "usual") as server:
        parley(server, "models", "add", str(CLOSED))
        heard = together(server, files)
    said = [each.said for each in made]
    usual = [alone.usual_text(file) for file in files]
    return [
        *turns.rows("whisper-closed"),
        Row(
            measure="whisper-closed: word error rate, each as it comes",
            unit="",
            parley=[error_rate(list(zip(said, heard, strict=True)))],
            peer=[error_rate(list(zip(said, usual, strict=True)))],
        ),
    ]
