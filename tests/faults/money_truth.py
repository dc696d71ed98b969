"""Is the ledger the truth? Compares, after a trial, what clients had, what the engine generated, and what was charged."""

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from sqlalchemy import text

from parley.infra.db import Connection, reading
from parley.operations.ledger_reading import verify
from tests.faults.fake_engine.journal import Truth, read_truth
from tests.faults.money_trial import INPUT_NANO, MODEL, NOTHING, OUTPUT_NANO, PROMPT_TOKENS, Trial, number_of

_RECORDS = (
    "SELECT request_id, end_user, outcome, input_tokens, output_tokens, charge_nano, is_stream, price_version"
    " FROM usage_records WHERE end_user LIKE 'asked-%'"
)
_ENTRIES = "SELECT key, kind, debit, credit, amount_nano, note FROM ledger_entries ORDER BY seq"
# Ends that were settled while the server lived: the engine's own count is known then.
_SETTLED = frozenset({"finished", "aborted"})


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A usage record."""

    request_id: str
    number: int
    outcome: str
    input_tokens: int
    output_tokens: int
    charge_nano: int
    is_stream: bool


@dataclass(kw_only=True)
class Verdict:
    """What was found; of sound books every list is empty, and `num_held` is 0."""

    # Whole replies without a record; requests with more than one; replies whose words were not charged as they came.
    lost: list[int] = field(default_factory=list)
    double: list[int] = field(default_factory=list)
    misread: list[int] = field(default_factory=list)
    # Records of requests that came to an end, and are not what the engine generated.
    untrue: list[int] = field(default_factory=list)
    # Records of requests that their server's death or its stop cut, with more than was generated.
    overcharged: list[int] = field(default_factory=list)
    # Charges that are not usage times price, or not what their entries come to.
    miscounted: list[int] = field(default_factory=list)
    # Replies with an error, or cut by the server, that cost something although nothing was delivered.
    paid_errors: list[int] = field(default_factory=list)
    # Clients that waited in vain; payments that were confirmed and are not in the ledger.
    hung: list[int] = field(default_factory=list)
    lost_payments: list[str] = field(default_factory=list)
    # Requests that generated and have no record. A kill leaves such that were too young to be kept.
    unrecorded: list[int] = field(default_factory=list)
    # Accounts that were below nothing after some entry, and organizations that spent more than their budget.
    negative: list[str] = field(default_factory=list)
    # What `parley ledger verify` says.
    findings: list[str] = field(default_factory=list)
    num_held: int = 0
    held_at_idle: set[str] = field(default_factory=set)
    num_records: int = 0
    num_whole: int = 0
    num_exact: int = 0
    num_by_checkpoint: int = 0
    num_given_away: int = 0
    num_tokens: int = 0

    @property
    def is_sound(self) -> bool:
        """Nothing lost, nothing double, nobody below nothing, everything true. `unrecorded` is judged by whoever killed."""
        return not (
            self.lost
            or self.double
            or self.misread
            or self.untrue
            or self.overcharged
            or self.miscounted
            or self.paid_errors
            or self.negative
            or self.hung
            or self.lost_payments
            or self.findings
            or self.num_held
            or self.held_at_idle != {NOTHING}
        )


def judge(trial: Trial) -> Verdict:
    """Look at everything. The server must not run."""
    verdict = Verdict(held_at_idle=set(trial.held_at_idle))
    journal = read_truth(trial.folder / "fakes", MODEL)
    truth = tokens_by_number(journal)
    begun = {number_of(journal.prompts[round_id]) for round_id in journal.begun}
    settings = trial.parley_settings
    with reading(settings.database_place) as connection:
        kept = _records(connection)
        entries = connection.execute(text(_ENTRIES)).all()
        verdict.num_held = connection.execute(text("SELECT count(*) FROM holds")).scalar_one()
    verdict.findings = [finding.text for finding in verify(settings).findings]
    posted = {entry.key for entry in entries}
    verdict.lost_payments = [payment for payment in trial.payments if f"top-up:{payment}" not in posted]
    verdict.hung = [asked.number for asked in trial.asked if asked.is_hung]
    verdict.num_records = len(kept)
    verdict.num_tokens = sum(truth.values())
    by_number: defaultdict[int, list[Kept]] = defaultdict(list)
    for one in kept:
        by_number[one.number].append(one)
    verdict.double = sorted(number for number, ones in by_number.items() if len(ones) > 1)
    _compare_replies(verdict, trial, by_number)
    _compare_tokens(verdict, kept, truth)
    _compare_prompts(verdict, kept, begun)
    _compare_charges(verdict, kept, entries)
    _compare_balances(verdict, entries)
    _compare_budgets(verdict, trial, entries)
    return verdict


def tokens_by_number(truth: Truth) -> Counter[int]:
    """What the engine generated for each request, over all its rounds."""
    tokens: Counter[int] = Counter()
    for round_id, count in truth.tokens.items():
        tokens[number_of(truth.prompts[round_id])] += count
    return tokens


def _records(connection: Connection) -> list[Kept]:
    return [
        Kept(
            request_id=row.request_id,
            number=int(row.end_user.removeprefix("asked-")),
            outcome=row.outcome,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            charge_nano=row.charge_nano,
            is_stream=bool(row.is_stream),
        )
        for row in connection.execute(text(_RECORDS))
    ]


def _compare_replies(verdict: Verdict, trial: Trial, by_number: dict[int, list[Kept]]) -> None:
    for asked in trial.asked:
        ones = by_number.get(asked.number, [])
        if asked.is_whole:
            verdict.num_whole += 1
            if not ones:
                verdict.lost.append(asked.number)
            elif (ones[0].outcome, ones[0].output_tokens) != ("finished", asked.num_words):
                verdict.misread.append(asked.number)
        elif asked.status is not None and asked.status >= 400 and any(one.charge_nano for one in ones):
            verdict.paid_errors.append(asked.number)


def _compare_tokens(verdict: Verdict, kept: Sequence[Kept], truth: Counter[int]) -> None:
    for one in kept:
        generated = truth[one.number]
        if one.outcome in _SETTLED:
            verdict.num_exact += 1
            if one.output_tokens != generated:
                verdict.untrue.append(one.number)
        else:
            verdict.num_by_checkpoint += 1
            verdict.num_given_away += generated - one.output_tokens
            if one.output_tokens > generated:
                verdict.overcharged.append(one.number)
        if not one.is_stream and one.outcome in {"failed", "cut"} and one.charge_nano:
            verdict.paid_errors.append(one.number)
    recorded = {one.number for one in kept}
    verdict.unrecorded = sorted(number for number, count in truth.items() if count and number not in recorded)
    verdict.num_given_away += sum(truth[number] for number in verdict.unrecorded)


def _compare_prompts(verdict: Verdict, kept: Sequence[Kept], begun: Set[int]) -> None:
    """A prompt is charged where the engine began on it; of what broke off, never where it did not."""
    for one in kept:
        is_begun = one.number in begun
        if one.outcome in _SETTLED and one.input_tokens != PROMPT_TOKENS * is_begun:
            verdict.untrue.append(one.number)
        elif one.input_tokens and not is_begun:
            verdict.overcharged.append(one.number)


def _compare_charges(verdict: Verdict, kept: Sequence[Kept], entries: Sequence[tuple]) -> None:
    charged: Counter[str] = Counter()
    for entry in entries:
        if entry.kind == "charge":
            charged[entry.note.split()[0]] += entry.amount_nano
    for one in kept:
        cost = one.input_tokens * INPUT_NANO + one.output_tokens * OUTPUT_NANO
        is_whole_prompt = one.input_tokens in {0, PROMPT_TOKENS}
        if one.charge_nano != cost or charged.pop(one.request_id, 0) != cost or not is_whole_prompt:
            verdict.miscounted.append(one.number)
    # What is left was charged for no request.
    verdict.findings += [f"a charge for {request_id}, which has no record" for request_id in charged]


def _compare_balances(verdict: Verdict, entries: Sequence[tuple]) -> None:
    balances: Counter[str] = Counter()
    for entry in entries:
        balances[entry.debit] -= entry.amount_nano
        balances[entry.credit] += entry.amount_nano
        for account in (entry.debit, entry.credit):
            if account.startswith(("credit:", "grant:")) and balances[account] < 0:
                verdict.negative.append(account)


def _compare_budgets(verdict: Verdict, trial: Trial, entries: Sequence[tuple]) -> None:
    for payer in trial.payers:
        if payer.budget_nano is not None:
            account = f"credit:{payer.organization_id}"
            spent = sum(entry.amount_nano for entry in entries if (entry.kind, entry.debit) == ("charge", account))
            if spent > payer.budget_nano:
                verdict.negative.append(f"{account} spent {spent} of {payer.budget_nano}")
