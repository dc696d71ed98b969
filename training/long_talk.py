"""Conversations with a long history: does the model still answer, and stop, after two thousand tokens?"""

from collections.abc import Iterator
from itertools import islice
from random import Random

from training.corpus import arithmetic, facts, talk
from training.corpus.draw import Draw, Side
from training.samples import Dialogue, Message

# Some 25 tokens an exchange.
_NUM_EXCHANGES = 90
_SEED = 20_230_314


def long_talks(num_talks: int) -> Iterator[Dialogue]:
    """Talks of about ninety exchanges on many subjects; only the last answer is asked."""
    draw = Draw(Random(_SEED), Side.HELD_OUT)
    return islice(iter(lambda: _long_talk(draw), None), num_talks)


def _long_talk(draw: Draw) -> Dialogue:
    turns: list[Message] = []
    while len(turns) < 2 * _NUM_EXCHANGES:
        maker = draw.pick((arithmetic.single_sum, facts.capitals, facts.opposites, facts.calendars, talk.say))
        made = maker(draw)
        if isinstance(made, Dialogue):
            turns += [message for message in made.messages if message.role != "system"]
    return Dialogue(skill="long_history", messages=tuple(turns))
