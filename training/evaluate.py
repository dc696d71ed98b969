"""Scores a served model on the held-out set through the HTTP API.

`python -m training.evaluate` starts Parley by itself; with `--base-url` and `--api-key` it asks a running server.
A conversation is played with the model's own answers, and counts when every one of them is exact.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from training.card import write_scores
from training.client import Client, Refused, Reply
from training.held_out import held_out_cases
from training.long_talk import long_talks
from training.samples import Case, Completion, Dialogue, Message, assistant
from training.served import Address, serving
from training.tally import Outcome, Slip, Tally, table

_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A client and how many cases of each skill it is asked."""

    client: Client
    cases_per_skill: int

    def run(self) -> list[Tally]:
        """Scores skill by skill, long histories last."""
        skills = held_out_cases(self.cases_per_skill)
        skills["long_history"] = list(long_talks(max(self.cases_per_skill // 4, 1)))
        tallies = []
        for skill, cases in skills.items():
            tallies.append(self._tally(skill, cases))
            print(tallies[-1].line(), flush=True)
        return tallies

    def _tally(self, skill: str, cases: list[Case]) -> Tally:
        try:
            with ThreadPoolExecutor(_WORKERS) as workers:
                return Tally(skill, list(workers.map(self._outcome, cases)))
        except Refused as refusal:
            return Tally(skill, [], refusal=str(refusal))

    def _outcome(self, case: Case) -> Outcome:
        if isinstance(case, Completion):
            reply = self.client.complete(case)
            slip = None if reply.text == case.answer else Slip(case.prompt, case.answer, reply.text)
            return Outcome(slip is None, reply.is_runaway, reply.num_prompt_tokens, reply.text, slip)
        return self._play(case)

    def _play(self, case: Dialogue) -> Outcome:
        history: tuple[Message, ...] = ()
        slip: Slip | None = None
        is_runaway, num_tokens, said = False, 0, ""
        # In a long history the earlier turns are given; only the last one is asked.
        asked_from = len(case.messages) - 1 if case.skill == "long_history" else 0
        for place, message in enumerate(case.messages):
            if message.role != "assistant" or place < asked_from:
                history = (*history, message)
                continue
            reply = self.client.chat(history, case.tools)
            if slip is None and not _is_same(reply, message):
                slip = Slip(history[-1].content, _written(message), reply.text or str(reply.call))
            is_runaway = is_runaway or reply.is_runaway
            num_tokens, said = reply.num_prompt_tokens, reply.text
            # After a wrong call there is no result to tell; the true one goes on.
            history = (*history, message if message.call else assistant(reply.text))
        return Outcome(slip is None, is_runaway, num_tokens, said, slip)


def _is_same(reply: Reply, message: Message) -> bool:
    if message.call is None:
        return reply.call is None and reply.text == message.content
    if reply.call is None:
        return False
    name, arguments = reply.call
    return name == message.call.name and _value(arguments) == dict(message.call.arguments)


def _written(message: Message) -> str:
    return message.call.as_json() if message.call else message.content


def _value(arguments: str) -> object:
    """The arguments of a call; none when the model did not write JSON to its end."""
    try:
        return json.loads(arguments)
    except ValueError:
        return None


def _slip_lines(tallies: list[Tally]) -> Iterator[str]:
    for tally in tallies:
        for slip in tally.slips:
            yield json.dumps({"skill": tally.skill, **asdict(slip)}, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Score a served model on the held-out set.")
    parser.add_argument("--base-url", help="a running server, as http://127.0.0.1:8000/v1; left out, one is started")
    parser.add_argument("--api-key", default="", help="the key for --base-url")
    parser.add_argument("--model", default="parley-mini")
    parser.add_argument("--cases", type=int, default=200, help="cases per skill")
    parser.add_argument("--card", type=Path, help="a model card whose table of scores is written anew")
    parser.add_argument("--slips", type=Path, help="a file for all wrong answers, one JSON object a line")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        address = Address(options.base_url, options.api_key) if options.base_url else stack.enter_context(serving())
        tallies = Evaluation(Client(address.base_url, address.api_key, options.model), options.cases).run()
    print(table(tallies))
    if options.slips:
        options.slips.write_text("".join(_slip_lines(tallies)))
    if options.card:
        write_scores(options.card, table(tallies))


if __name__ == "__main__":
    main(sys.argv[1:])
