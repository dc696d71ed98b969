"""The evaluation over HTTP: what counts as exact, what is refused, what the card says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from training.card import write_scores
from training.client import Client
from training.evaluate import Evaluation
from training.held_out import CHOOSING_SEED, held_out_cases
from training.long_talk import long_talks
from training.samples import Dialogue, ToolCall
from training.tally import Outcome, Tally, table

Answer = Callable[[dict[str, object]], tuple[int, dict[str, object]]]


@contextmanager
def _serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, reply = answer({"path": self.path, "key": self.headers["Authorization"], **body})
            payload = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the standard library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def _chat_reply(text: str, finish_reason: str = "stop") -> dict[str, object]:
    choice = {"message": {"content": text}, "text": text, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 7}}


def _tallies(answer: Answer) -> dict[str, Tally]:
    with _serving(answer) as url:
        return {tally.skill: tally for tally in Evaluation(Client(url, "a key", "a model"), 4).run()}


def test_a_server_that_knows_nothing_is_right_about_unknown_questions_alone():
    tallies = _tallies(lambda request: (200, _chat_reply("I don't know.")))
    assert tallies["unknown"].score == 1.0
    assert tallies["capitals"].score == 0.0
    assert tallies["capitals"].num_runaways == 0


def test_an_answer_that_never_ends_is_a_runaway():
    tallies = _tallies(lambda request: (200, _chat_reply("la la", "length")))
    assert tallies["say"].num_runaways == len(tallies["say"].outcomes)


def test_true_answers_are_exact_and_the_key_goes_with_every_request():
    expected = {
        case.messages[-2].content: case.messages[-1].content
        for case in held_out_cases(4)["opposites"]
        if not hasattr(case, "prompt")
    }
    keys = set()

    def answer(request: dict) -> tuple[int, dict[str, object]]:
        keys.add(request["key"])
        return 200, _chat_reply(expected.get(request["messages"][-1]["content"], "") if "messages" in request else "")

    assert _tallies(answer)["opposites"].score == 1.0
    assert keys == {"Bearer a key"}


def test_a_skill_that_the_server_refuses_is_said_to_be_unmeasured():
    def answer(request: dict) -> tuple[int, dict[str, object]]:
        return (400, {"error": {"message": "no tools"}}) if "tools" in request else (200, _chat_reply("no"))

    tally = _tallies(answer)["tool_call"]
    assert "no tools" in tally.refusal
    assert "not measured" in table([tally])


def test_a_call_is_exact_when_name_and_values_are_and_broken_arguments_are_wrong():
    expected = {
        case.messages[place - 1].content: message.call
        for case in held_out_cases(4)["tool_call"]
        if isinstance(case, Dialogue)
        for place, message in enumerate(case.messages)
        if message.call
    }

    def reply(request: dict, arguments: Callable[[ToolCall], str]) -> tuple[int, dict[str, object]]:
        last = request["messages"][-1] if "messages" in request else {"content": ""}
        if last["content"] not in expected:
            return 200, _chat_reply("")
        call = expected[last["content"]]
        assert {tool["type"] for tool in request["tools"]} == {"function"}
        called = {"function": {"name": call.name, "arguments": arguments(call)}}
        return 200, {"choices": [{"message": {"content": None, "tool_calls": [called]}, "finish_reason": "stop"}]}

    spaced = _tallies(lambda request: reply(request, lambda call: json.dumps(dict(call.arguments), indent=1)))
    assert spaced["tool_call"].score > 0
    broken = _tallies(lambda request: reply(request, lambda call: json.dumps(dict(call.arguments))[:-3]))
    assert broken["tool_call"].score == 0


def test_the_held_out_set_has_two_hundred_cases_for_nearly_every_skill_and_none_twice():
    cases = held_out_cases(200)
    small = {skill for skill, of_skill in cases.items() if len(of_skill) < 200}
    assert small <= {"code_talk", "reverse_letters"}
    assert all(len(set(of_skill)) == len(of_skill) for of_skill in cases.values())
    assert "famous" not in cases


def test_long_talks_have_a_long_history():
    talk = next(long_talks(1))
    assert len(talk.messages) >= 180
    assert talk.messages[-1].role == "assistant"


def test_a_score_below_its_bar_is_marked():
    outcome = Outcome(is_exact=False, is_runaway=False, num_prompt_tokens=5, said="")
    assert "(below)" in table([Tally("sort", [outcome])])


def test_scores_are_written_between_the_marks_of_the_card(tmp_path: Path):
    card = tmp_path / "README.md"
    card.write_text("before\n<!-- scores: written by training.evaluate -->\nold\n<!-- end of scores -->\nafter\n")
    write_scores(card, "new")
    assert "old" not in card.read_text()
    assert card.read_text().startswith("before\n")
    assert card.read_text().endswith("-->\nafter\n")
    assert "\nnew\n" in card.read_text()


def test_a_card_without_marks_is_refused(tmp_path: Path):
    card = tmp_path / "README.md"
    card.write_text("nothing")
    with pytest.raises(ValueError, match="no place for scores"):
        write_scores(card, "new")


def test_the_first_wrong_answer_of_a_case_is_kept_and_a_right_one_is_not():
    tallies = _tallies(lambda request: (200, _chat_reply("I don't know.")))
    assert tallies["unknown"].slips == []
    [case] = [case for case in held_out_cases(1)["capitals"] if isinstance(case, Dialogue)]
    slip = tallies["capitals"].slips[0]
    assert (slip.asked, slip.expected) == (case.messages[-2].content, case.messages[-1].content)
    assert slip.said == "I don't know."
    assert len(tallies["capitals"].slips) == 4


def test_choices_while_training_are_made_on_other_cases_than_those_that_are_reported():
    reported, chosen_on = held_out_cases(20), held_out_cases(20, CHOOSING_SEED)
    assert reported.keys() == chosen_on.keys()
    for skill in ("json", "style", "arithmetic_chain", "say", "upper_case"):
        assert len(set(reported[skill]) & set(chosen_on[skill])) <= 1
    assert held_out_cases(20) == reported
