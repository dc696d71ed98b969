"""Wordings spelled from patterns: all of them, each once; and no held-out one needs a word that was never taught."""

import re
from random import Random

from training.corpus import registry
from training.corpus.draw import Draw, Side, is_taught
from training.corpus.wordings import wordings

# Lists of things rather than of wordings: there the thing itself is what is new.
_LISTS_OF_THINGS = {"name", "event", "language", "subject", "famous"}
_SAMPLES_PER_MAKER = 400


class _RecordingDraw(Draw):
    """Keeps every list that a template was drawn from."""

    def __init__(self, random: Random, side: Side) -> None:
        super().__init__(random, side)
        self.lists: set[tuple[str, tuple[str, ...]]] = set()

    def template(self, kind, options):
        self.lists.add((kind, tuple(options)))
        return super().template(kind, options)


def _all_lists() -> list[tuple[str, tuple[str, ...]]]:
    """Each list of wordings with the kind that it is split by."""
    draw = _RecordingDraw(Random(5), Side.TRAIN)
    for maker, _ in registry.MAKERS:
        for _ in range(_SAMPLES_PER_MAKER):
            maker(draw)
    return [(kind, options) for kind, options in draw.lists if kind not in _LISTS_OF_THINGS]


def _words(wording: str) -> set[str]:
    return set(re.findall(r"[a-z']+", re.sub(r"\{\w+\}", " ", wording.lower())))


def test_choices_are_spelled_out_in_order_and_each_wording_once():
    assert wordings("Say [a|b] [x|y].", "Say a x.", "Go.") == ("Say a x.", "Say a y.", "Say b x.", "Say b y.", "Go.")


def test_a_sentence_whose_beginning_is_missing_has_the_capital_letter():
    assert wordings("[|Please ]say {x}[.|]") == ("Say {x}.", "Say {x}", "Please say {x}.", "Please say {x}")
    assert wordings("[we|you] add {b}") == ("we add {b}", "you add {b}")


def test_all_wordings_of_a_list_have_the_same_places_to_fill():
    for kind, options in _all_lists():
        # Questions beyond the tables are about different things.
        if kind != "unknown":
            places = {frozenset(place.lower() for place in re.findall(r"\{(\w+)\}", wording)) for wording in options}
            assert len(places) == 1, kind


def test_every_word_of_a_held_out_wording_stands_in_some_taught_wording():
    lists = _all_lists()
    taught = {
        word
        for kind, options in lists
        for wording in options
        if is_taught(kind, options, wording)
        for word in _words(wording)
    }
    unheard = {
        wording: _words(wording) - taught
        for _, options in lists
        for wording in options
        if not _words(wording) <= taught
    }
    assert not unheard
