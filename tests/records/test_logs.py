"""Logs: one event is one line, and no key is on any."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from parley.infra.logs import configure_logging, log_fields

KEY = "sk-0123456789abcdefghijABCDEFGHIJklmnop"


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(style: str, secrets: tuple[str, ...] = ()) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    configure_logging(level="info", style=style, stream=stream, secrets=secrets)
    return logging.getLogger("parley.test"), stream


def test_an_event_is_one_json_line_with_its_fields() -> None:
    log, stream = written("json")
    log.info("request finished", extra={"request_id": "req_1", "model": "gpt-4", "e2e_seconds": 1.5})
    entry = json.loads(stream.getvalue())
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "info",
        "logger": "parley.test",
        "message": "request finished",
        "request_id": "req_1",
        "model": "gpt-4",
        "e2e_seconds": 1.5,
    }


@pytest.mark.parametrize("style", ["json", "text"])
def test_the_line_of_every_request_is_what_a_record_of_it_would_be(
    style: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"path": f"/v1/{KEY}", "status": 200, "organization_id": None, "duration_seconds": 0.25}
    log, stream = written(style)
    log_fields(log, logging.INFO, "request finished", fields, now=1_700_000_000.123)
    log_fields(log, logging.DEBUG, "request finished", fields, now=1_700_000_000.123)
    line = stream.getvalue()
    record = logging.LogRecord(log.name, logging.INFO, "", 0, "request finished", (), None)
    record.created = 1_700_000_000.123
    vars(record).update(fields)
    [handler] = logging.getLogger().handlers
    assert handler.formatter is not None
    assert line == handler.formatter.format(record) + "\n"
    assert KEY not in line
    # Whoever listens beside our own handler is told of a record.
    logging.getLogger().addHandler(caplog.handler)
    log_fields(log, logging.INFO, "request finished", fields, now=1_700_000_000.123)
    [heard] = caplog.records
    assert vars(heard).items() >= fields.items()
    assert len(stream.getvalue().splitlines()) == 2


def test_a_line_that_cannot_be_written_is_no_failure_of_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    log, stream = written("json")
    stream.close()
    log_fields(log, logging.INFO, "request finished", {"status": 200}, now=0.0)
    assert "I/O operation on closed file" in capsys.readouterr().err


HOSTILE = "a\r\nlevel=error forged\x1b[31m\x00\x7f\x85\u2028end"


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_field_can_begin_a_line_or_move_the_cursor(style: str) -> None:
    log, stream = written(style)
    log.warning("refused %s", HOSTILE, extra={"path": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}})
    line = stream.getvalue()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert all(character.isprintable() for character in line[:-1])


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_key_is_on_no_line_wherever_it_was_put(style: str) -> None:
    log, stream = written(style, secrets=("chosen-bootstrap-key",))
    log.info("key %s", KEY)
    log.info(f"header Bearer {'x' * 30}")  # noqa: G004 - somebody will
    log.info("fields", extra={"deep": {"list": [KEY, {KEY: KEY}]}, "other": ValueError(KEY)})
    log.info("chosen-bootstrap-key")
    try:
        int(KEY)
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert KEY[3:] not in text
    assert "x" * 30 not in text
    assert "chosen-bootstrap-key" not in text
    assert text.count("[redacted]") >= 8


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("before", ["key_", "OPENAI_API_KEY_", "Key", "7", "sk-old_", "é"])
def test_a_key_that_stands_right_behind_a_word_is_on_no_line(style: str, before: str) -> None:
    log, stream = written(style)
    log.info("request finished", extra={"path": f"/v1/models/{before}{KEY}"})
    assert KEY[3:] not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


def test_words_that_end_like_the_beginning_of_a_key_stay() -> None:
    log, stream = written("text")
    log.info("disk-space-low, task-12345678, risk-assessment")
    assert "disk-space-low, task-12345678, risk-assessment" in stream.getvalue()


def test_a_traceback_stays_on_its_json_line() -> None:
    log, stream = written("json")
    try:
        {}["in the depths"]
    except KeyError:
        log.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "KeyError: 'in the depths'" in json.loads(line)["traceback"]


def test_values_that_json_does_not_know_become_text() -> None:
    log, stream = written("json")
    log.info("odd", extra={"value": object, "bytes": b"\xff", "number": 3})
    entry = json.loads(stream.getvalue())
    assert entry["bytes"] == "b'\\xff'"
    assert entry["number"] == 3


def test_less_severe_lines_are_left_out() -> None:
    log, stream = written("text")
    log.debug("quiet")
    assert stream.getvalue() == ""


def test_auto_writes_json_where_nobody_watches() -> None:
    log, stream = written("auto")
    log.info("hello")
    assert json.loads(stream.getvalue())["message"] == "hello"
