"""What an evaluation counts, and the table that it becomes."""

from dataclasses import dataclass

# What issue and card promise; skills without an entry have the common bar.
COMMON_BAR = 0.90
BARS = {"arithmetic_chain": 0.95, "unknown": 0.80}
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Slip:
    """The first wrong answer of a case: the last words before it, what was expected, what was said."""

    asked: str
    expected: str
    said: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: exact or not, whether it ran into the token limit, its last prompt's tokens, and the last words said.

    A case that is not exact has a `slip`.
    """

    is_exact: bool
    is_runaway: bool
    num_prompt_tokens: int
    said: str
    slip: Slip | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """One skill's outcomes. With a `refusal` the server would not answer, and nothing was measured."""

    skill: str
    outcomes: list[Outcome]
    refusal: str = ""

    @property
    def score(self) -> float:
        """The share of right answers: exact ones, and for unknown questions those that say so."""
        return sum(map(self._is_right, self.outcomes)) / len(self.outcomes)

    @property
    def num_runaways(self) -> int:
        """Answers that did not stop by themselves."""
        return sum(outcome.is_runaway for outcome in self.outcomes)

    @property
    def bar(self) -> float:
        """What the score should reach."""
        return BARS.get(self.skill, COMMON_BAR)

    @property
    def slips(self) -> list[Slip]:
        """The wrong answers that count."""
        return [outcome.slip for outcome in self.outcomes if outcome.slip and not self._is_right(outcome)]

    def line(self) -> str:
        """The tally as a row of the table."""
        if self.refusal:
            return f"| {self.skill} | - | not measured: refused by the server | {self.bar:.0%} | - |"
        verdict = "" if self.score >= self.bar else " (below)"
        return f"| {self.skill} | {len(self.outcomes)} | {self.score:.1%}{verdict} | {self.bar:.0%} | {self.num_runaways} |"

    def _is_right(self, outcome: Outcome) -> bool:
        return outcome.said.startswith("I don't know") if self.skill == _UNKNOWN else outcome.is_exact


def table(tallies: list[Tally]) -> str:
    """All tallies as a Markdown table, with the sum of what ran away and how long the long histories were."""
    rows = ["| skill | cases | exact | bar | runaways |", "|---|---|---|---|---|", *(tally.line() for tally in tallies)]
    measured = [outcome for tally in tallies for outcome in tally.outcomes]
    longest = max((outcome.num_prompt_tokens for outcome in measured), default=0)
    runaways = sum(outcome.is_runaway for outcome in measured)
    return "\n".join([*rows, "", f"{len(measured)} cases, {runaways} runaways, longest prompt {longest} tokens."])
