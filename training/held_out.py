"""The held-out set: for each skill so many different cases, the same at every call."""

from collections import defaultdict

from training.corpus.draw import Side
from training.corpus.famous import SKILL as FAMOUS
from training.corpus.registry import skill_samples
from training.samples import Case, Drill

# The cases of the model card, and others from the same side of the split: what is chosen while training is chosen on these.
FINAL_SEED = 20_230_301
CHOOSING_SEED = 20_220_301
_TRIES_PER_CASE = 12


def held_out_cases(cases_per_skill: int, seed: int = FINAL_SEED) -> dict[str, list[Case]]:
    """Different cases by skill, the same for the same seed; a skill whose templates and tables give fewer has fewer. Named examples are not among them."""
    found: dict[str, dict[Case, None]] = defaultdict(dict)
    for source in skill_samples(seed, Side.HELD_OUT):
        for _ in range(cases_per_skill * _TRIES_PER_CASE):
            case = next(source)
            if isinstance(case, Drill) or case.skill == FAMOUS:
                break
            if len(found[case.skill]) < cases_per_skill:
                found[case.skill][case] = None
    return {skill: list(cases) for skill, cases in sorted(found.items()) if cases}
