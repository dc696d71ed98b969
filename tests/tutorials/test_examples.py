"""The programs in examples/ run as their README says."""

import json
import re
import sys
from pathlib import Path

from tests.live import LiveServer
from tests.tutorials.programs import output_of, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_conversation_answers_each_line_and_ends_with_an_empty_one(live_server: LiveServer) -> None:
    done = run([sys.executable, EXAMPLES / "chat.py"], live_server, typed="Hello!\nWho are you?\n\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("parley: ") == 2


def test_the_conversation_ends_with_its_input(live_server: LiveServer) -> None:
    done = run([sys.executable, EXAMPLES / "chat.py"], live_server, typed="Hello!\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("parley: ") == 1


def test_the_scores_are_log_probabilities(live_server: LiveServer) -> None:
    output = output_of([sys.executable, EXAMPLES / "score.py"], live_server)
    scores = [float(score) for score in re.findall(r"^ *(-?[\d.]+) per token", output, re.MULTILINE)]
    assert len(scores) == 2
    assert all(score < 0 for score in scores)


def test_many_requests_are_answered_side_by_side(live_server: LiveServer) -> None:
    output = output_of([sys.executable, EXAMPLES / "several.py"], live_server)
    assert len(re.findall(r"^What is \d plus \d\?  ", output, re.MULTILINE)) == 8


def test_a_function_is_called_and_a_form_filled_in(live_server: LiveServer) -> None:
    output = output_of([sys.executable, EXAMPLES / "tools.py"], live_server)
    called, answer, form = output.splitlines()
    assert re.fullmatch(r'called: get_weather\(\{"city": ".{0,20}"\}\)', called)
    assert len(answer) > len("answer: ")
    assert re.fullmatch(r"form: Person\(kind='(friend|stranger)', is_polite=(True|False)\)", form)


def test_curl_alone_is_enough(live_server: LiveServer) -> None:
    models, chat, *events = output_of(["sh", EXAMPLES / "curl.sh"], live_server).splitlines()
    assert json.loads(models)["object"] == "list"
    assert json.loads(chat)["choices"][0]["message"]["role"] == "assistant"
    assert events[-2:] == ["data: [DONE]", ""] or events[-1] == "data: [DONE]"


def test_the_readme_names_every_example() -> None:
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}}
    assert programs == set(re.findall(r"^\| `([\w.]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
