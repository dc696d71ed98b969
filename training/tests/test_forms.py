"""What embeddings know of writing before training."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from training.forms import start_forms
from training.model import Llama, ModelShape

TEXTS = [
    "",
    "foot",
    " foot",
    "Foot",
    " Foot",
    "moon",
    " moon",
    "f",
    "F",
    "tree",
    "7",
    ", ",
    "\ufffd",
    "été",
    "forty-two",
]
UNWRITTEN = ("", "7", ", ", "\ufffd", "été", "forty-two")


@pytest.fixture(scope="module")
def model() -> Llama:
    torch.manual_seed(4)
    return Llama(ModelShape(vocabulary_size=len(TEXTS)))


@pytest.fixture(scope="module")
def likeness(model: Llama) -> Callable[[str, str], float]:
    start_forms(model, TEXTS)

    def of(one: str, other: str) -> float:
        first, second = (model.embedding.weight[TEXTS.index(text)].detach() for text in (one, other))
        return float(functional.cosine_similarity(first, second, dim=0))

    return of


def test_the_forms_of_a_word_are_near_to_each_other_and_other_words_are_not(
    likeness: Callable[[str, str], float],
) -> None:
    for form in (" foot", "Foot", " Foot"):
        assert likeness("foot", form) > 0.5
    assert likeness("foot", "tree") < 0.3


def test_words_with_the_same_letters_at_the_same_places_are_nearer(likeness: Callable[[str, str], float]) -> None:
    assert likeness("foot", "moon") > likeness("foot", "tree") + 0.05
    assert likeness("foot", "f") > likeness("moon", "f") + 0.05


def test_a_space_and_a_capital_are_the_same_step_for_every_word(
    model: Llama, likeness: Callable[[str, str], float]
) -> None:
    assert likeness("foot", "foot") > 0.99
    weight = model.embedding.weight.detach()

    def step(start: str, end: str) -> torch.Tensor:
        return weight[TEXTS.index(end)] - weight[TEXTS.index(start)]

    assert functional.cosine_similarity(step("foot", " foot"), step("moon", " moon"), dim=0) > 0.2
    assert functional.cosine_similarity(step("foot", "Foot"), step("f", "F"), dim=0) > 0.2


def test_what_is_no_word_in_plain_letters_stays_as_it_was() -> None:
    torch.manual_seed(4)
    model = Llama(ModelShape(vocabulary_size=len(TEXTS)))
    before = model.embedding.weight.detach().clone()
    start_forms(model, TEXTS)
    is_changed = (model.embedding.weight != before).any(dim=1).tolist()
    assert {text for text, changed in zip(TEXTS, is_changed, strict=True) if not changed} == set(UNWRITTEN)
