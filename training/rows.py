"""Samples become rows of token ids: short ones sorted by length into batches, or several joined into one long talk."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch
from torch import Tensor

from training.samples import Dialogue, Message, Sample, layout, system
from training.tokenizer import PieceEncoder

_POOL_SAMPLES = 3000
_LONGEST_GAP = 600
_WIDTH_STEP = 16
# The single bytes come first in the vocabulary, then the pieces of words.
_NUM_BYTES = 256
_REPEATED_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a batch. `positions` may leap at a change of subject, so that far distances are met in short rows."""

    ids: list[int]
    learned: list[bool]
    positions: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows. `targets` is the next id where it is learned, -100 elsewhere."""

    ids: Tensor
    positions: Tensor
    targets: Tensor

    @property
    def num_tokens(self) -> int:
        """Places in the batch, padding included."""
        return self.ids.numel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How samples are packed: the longest row, the share of rows that join several talks, the tokens of one batch.

    `primer_share` is how many rows of drill in copying come on each sample.
    """

    longest_row: int
    joined_share: float
    batch_tokens: int
    primer_share: float = 0.0


def batches(source: Iterator[Sample], encoder: PieceEncoder, packing: Packing, random: Random) -> Iterator[Batch]:
    """Batches without end, rows of like length together. Few different shapes occur: each new one costs memory for ever."""
    left_over: list[Row] = []
    while True:
        pool = [*left_over, *_rows(source, encoder, packing, random)]
        pool.sort(key=lambda row: len(row.ids), reverse=True)
        cut: list[list[Row]] = []
        while pool and len(pool) >= (num_rows := packing.batch_tokens // _rounded(len(pool[0].ids))):
            cut.append(pool[:num_rows])
            pool = pool[num_rows:]
        left_over = pool
        random.shuffle(cut)
        yield from (collate(batch, encoder.padding) for batch in cut)


def _rounded(length: int) -> int:
    return -(-length // _WIDTH_STEP) * _WIDTH_STEP


def collate(rows: list[Row], padding: int) -> Batch:
    """Rows of different length as one batch."""
    width = _rounded(max(len(row.ids) for row in rows))
    ids = torch.full((len(rows), width), padding)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    targets = torch.full((len(rows), width), -100)
    for place, row in enumerate(rows):
        size = len(row.ids)
        ids[place, :size] = torch.tensor(row.ids)
        positions[place, :size] = torch.tensor(row.positions)
        following = [token if is_learned else -100 for token, is_learned in zip(row.ids, row.learned, strict=True)]
        targets[place, : size - 1] = torch.tensor(following[1:])
    return Batch(ids, positions, targets)


def row_of(sample: Sample, encoder: PieceEncoder) -> Row:
    """A sample by itself."""
    ids, learned = encoder.encode(layout(sample))
    return Row(ids, learned, list(range(len(ids))))


def primer_row(encoder: PieceEncoder, random: Random) -> Row:
    """Random tokens that come a second time: drill in looking back, of which talk alone has little."""
    first, last = encoder.plain_ids
    first += _NUM_BYTES
    noise = [random.randint(first, last) for _ in range(random.randint(1, 12))]
    copied = [random.randint(first, last) for _ in range(random.randint(3, 16))]
    if random.random() < _REPEATED_SHARE:
        # What came after a token is not enough to know where one is, if it comes twice.
        place = random.randrange(len(copied))
        copied[place:place] = copied[max(0, place - random.randint(1, 2)) : place + 1]
    ids = [*noise, *copied, *copied]
    # Nothing announces the first copied token, so it is not learned.
    learned = [place > len(ids) - len(copied) for place in range(len(ids))]
    return Row(ids, learned, list(range(len(ids))))


def _rows(source: Iterator[Sample], encoder: PieceEncoder, packing: Packing, random: Random) -> Iterator[Row]:
    talks: list[Sample] = []
    for sample in islice(source, _POOL_SAMPLES):
        if _can_be_joined(sample) and random.random() < packing.joined_share:
            talks.append(sample)
            continue
        row = row_of(sample, encoder)
        if len(row.ids) <= packing.longest_row:
            yield row
    while talks:
        yield _joined(talks, encoder, packing.longest_row, random)
    for _ in range(round(packing.primer_share * _POOL_SAMPLES)):
        yield primer_row(encoder, random)


def _can_be_joined(sample: Sample) -> bool:
    """A talk whose system line says nothing that changes the answers can stand anywhere in a long conversation."""
    return isinstance(sample, Dialogue) and not sample.tools and not sample.is_shaped_by_system


def _joined(talks: list[Sample], encoder: PieceEncoder, longest: int, random: Random) -> Row:
    """As many of `talks` as fit in one conversation; the used ones are taken from the list."""
    target = random.randint(longest // 3, longest)
    opening = (
        Dialogue(skill="joined", messages=(system("You are a helpful assistant."),)) if random.random() < 0.5 else None
    )
    ids, learned = encoder.encode(layout(opening)) if opening else ([], [])
    positions = list(range(len(ids)))
    has_gaps = random.random() < 0.5
    while talks:
        part_ids, part_learned = encoder.encode(layout(_without_system(talks.pop())))
        if ids and len(ids) + len(part_ids) > target:
            break
        start = positions[-1] + 1 if positions else 0
        if positions and has_gaps:
            start += random.randint(0, _LONGEST_GAP)
        ids, learned = ids + part_ids, learned + part_learned
        positions += range(start, start + len(part_ids))
    return Row(ids, learned, positions)


def _without_system(sample: Sample) -> Sample:
    if not isinstance(sample, Dialogue):
        return sample
    kept: tuple[Message, ...] = tuple(message for message in sample.messages if message.role != "system")
    return Dialogue(skill=sample.skill, messages=kept)
