"""What a shared beginning saves: conversations that send all their past again, and one system prompt for many users."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.load import Outcome
from bench.report import Row
from bench.text import Model, Prompts, Servers, servers

NUM_CONVERSATIONS = 4
NUM_TURNS = 10
# What each turn adds to the history: the last reply and the next question, made up, as no client sends ids of replies.
TURN_TOKENS = 150
NUM_USERS = 32
SYSTEM_TOKENS = 2000
QUESTION_TOKENS = 30


def compare(model: Model, folder: Path, *, num_passes: int) -> list[Row]:
    """Both servers beside each other, in turns, on histories that neither has seen."""
    conversations: list[tuple[Outcome, Outcome]] = []
    users: list[tuple[Outcome, Outcome]] = []
    with servers(model, folder) as both:
        for _ in range(num_passes):
            # One turn after another, so that each finds what the one before it left.
            conversations.append(_pair(both, conversation_bodies, num_clients=1))
            users.append(_pair(both, shared_bodies, num_clients=NUM_USERS))
    return [
        *_rows(f"{model.name}: {NUM_CONVERSATIONS} conversations of {NUM_TURNS} turns", conversations),
        *_rows(f"{model.name}: {NUM_USERS} users of a {SYSTEM_TOKENS:,}-token system prompt", users),
    ]


def conversation_bodies(prompts: Prompts) -> list[dict[str, object]]:
    """The turns of conversations that take turns with each other; each turn begins with all of the one before it."""
    histories: list[list[int]] = [[] for _ in range(NUM_CONVERSATIONS)]
    bodies = []
    for _ in range(NUM_TURNS):
        for history in histories:
            history.extend(prompts.ids(TURN_TOKENS))
            bodies.append(prompts.body(list(history)))
    return bodies


def shared_bodies(prompts: Prompts) -> list[dict[str, object]]:
    """One question from each user behind the same system prompt."""
    system = prompts.ids(SYSTEM_TOKENS)
    return [prompts.body(system + prompts.ids(QUESTION_TOKENS)) for _ in range(NUM_USERS)]


def _pair(
    both: Servers, bodies: Callable[[Prompts], list[dict[str, object]]], *, num_clients: int
) -> tuple[Outcome, Outcome]:
    ours = both.apply(both.parley_port, bodies(both.prompts), num_clients=num_clients)
    return ours, both.apply(both.peer_socket, bodies(both.prompts), num_clients=num_clients)


def _rows(measure: str, outcomes: list[tuple[Outcome, Outcome]]) -> list[Row]:
    return [
        Row(
            measure=measure,
            unit="tokens/s",
            parley=[ours.output_tokens / ours.seconds for ours, _ in outcomes],
            peer=[theirs.output_tokens / theirs.seconds for _, theirs in outcomes],
        ),
        Row(
            measure=f"{measure}, TTFT",
            unit="ms",
            parley=[median(ours.ttft_seconds) * 1000 for ours, _ in outcomes],
            peer=[median(theirs.ttft_seconds) * 1000 for _, theirs in outcomes],
            is_less_better=True,
        ),
    ]
