"""Raw text without a chat around it, as `/v1/completions` sends it: answered after a blank line, or simply continued."""

from training.corpus.arithmetic import sum_fact
from training.corpus.draw import Draw
from training.corpus.facts import short_fact
from training.corpus.framing import Fact
from training.corpus.tables import CAPITALS, DAYS, MONTHS, OPPOSITES
from training.corpus.talk import greeting, saying
from training.samples import Completion, Sample

_QUESTION_FORMS = (
    ("{question}", "\n\n{answer}"), ("{question}\n", "\n{answer}"), ("{question}\n\n", "{answer}"), ("Q: {question}\nA:", " {answer}"), ("Question: {question}\nAnswer:", " {answer}"),
    ("Human: {question}\nAI:", " {answer}"), ("User: {question}\nAssistant:", " {answer}"),
    ("Q: {question}\n\nA:", " {answer}"), ("Human: {question}\n\nAssistant:", " {answer}"), ("{question}\nAnswer:", " {answer}"),
)  # fmt: skip


def completion(draw: Draw) -> Sample:
    """A prompt and its completion."""
    prompt, answer = draw.pick((_answered, _answered, _said, _listed, _stated))(draw)
    return Completion(skill="completion", prompt=prompt, answer=answer)


def _answered(draw: Draw) -> tuple[str, str]:
    fact = _fact(draw)
    before, after = draw.pick(_QUESTION_FORMS)
    return before.format(question=fact.question), after.format(answer=fact.answer)


def _said(draw: Draw) -> tuple[str, str]:
    request, answer = greeting(draw) if draw.chance(0.2) else saying(draw)
    return request, f"\n\n{answer}"


def _listed(draw: Draw) -> tuple[str, str]:
    """Days and months go on to the last of the week or the year, rows of numbers by four more."""
    kind = draw.pick((0, 1, 2, 2))
    if kind == 2:
        start, step = draw.between(1, 20), draw.pick((1, 1, 2, 5, 10))
        names, shown = [str(start + step * place) for place in range(7)], 3
    else:
        names = list((DAYS, MONTHS)[kind])
        names = names[draw.between(0, len(names) - 3) :]
        shown = draw.between(1, min(3, len(names) - 1))
    return ", ".join(names[:shown]) + ",", "".join(f" {name}," for name in names[shown:]).rstrip(",") + "."


def _stated(draw: Draw) -> tuple[str, str]:
    kind = draw.between(0, 2)
    if kind == 0:
        country, city = draw.pick(CAPITALS)
        return f"The capital of {country} is", f" {city}."
    if kind == 1:
        pair = draw.pick(OPPOSITES)
        word, other = pair if draw.chance(0.5) else pair[::-1]
        return f"The opposite of {word} is", f" {other}."
    fact = sum_fact(draw)
    left, right = fact.answer.split(" =")
    return f"{left} =", right


def _fact(draw: Draw) -> Fact:
    return sum_fact(draw) if draw.chance(0.4) else short_fact(draw)
