"""The fields of an audio form: each is honoured or refused by its name."""

from pathlib import Path

import pytest

from parley.api.form import Form
from parley.api.openai.audio_fields import TRANSCRIPTION_FIELDS, TRANSLATION_FIELDS, read_fields
from parley.core.errors import InvalidRequest
from parley.core.languages import LANGUAGES, OTHER_CODES, UNHEARD_CODES
from parley.core.speech import Recording

RECORDING = Recording(path=Path("/nowhere"), num_bytes=1, sha256="00")


def read(
    *fields: tuple[str, str], known: frozenset[str] = TRANSCRIPTION_FIELDS, recording: Recording | None = RECORDING
):
    return read_fields(Form(fields=(("model", "whisper-1"), *fields), recording=recording), known)


def test_a_form_with_nothing_but_file_and_model_gets_the_defaults():
    fields = read()
    assert (fields.model, fields.language, fields.prompt, fields.temperature) == ("whisper-1", None, None, 0.0)
    assert (fields.response_format, fields.granularities, fields.is_stream) == ("json", frozenset(), False)


def test_every_field_arrives_as_it_was_sent():
    fields = read(
        ("language", "EN"),
        ("prompt", "Kennedy"),
        ("temperature", "0.2"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("chunking_strategy", "auto"),
    )
    assert (fields.language, fields.prompt, fields.temperature) == ("en", "Kennedy", 0.2)
    assert fields.granularities == {"word", "segment"}


def test_a_stream_is_asked_for_in_any_spelling_of_true():
    assert read(("stream", "True")).is_stream
    assert not read(("stream", "false")).is_stream


def test_fields_that_were_left_empty_were_left_out():
    assert read(("language", ""), ("prompt", ""), ("temperature", ""), ("stream", "")) == read()


@pytest.mark.parametrize(
    ("field", "value", "param", "code"),
    [
        ("language", "english", "language", "invalid_language_format"),
        ("language", "xx", "language", "invalid_language_format"),
        ("temperature", "warm", "temperature", "invalid_type"),
        ("temperature", "1.5", "temperature", "decimal_above_max_value"),
        ("temperature", "-1", "temperature", "decimal_below_min_value"),
        ("temperature", "nan", None, "invalid_value"),
        ("response_format", "docx", "response_format", "invalid_value"),
        ("timestamp_granularities[]", "letter", "timestamp_granularities", "invalid_value"),
        ("timestamp_granularities[]", "word", "timestamp_granularities", "invalid_value"),
        ("stream", "perhaps", "stream", "invalid_type"),
        ("chunking_strategy", '{"type": "server_vad"}', "chunking_strategy", "unsupported_parameter"),
        ("include[]", "logprobs", "include", "unsupported_parameter"),
        ("known_speaker_names[]", "agent", "known_speaker_names", "unsupported_parameter"),
        ("top_k", "3", None, None),
        ("language[]", "en", None, None),
    ],
)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(field, value, param, code):
    with pytest.raises(InvalidRequest) as refusal:
        read((field, value))
    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert (param or field) in refusal.value.message or code == "invalid_value"


def test_a_stream_is_told_in_json_alone():
    with pytest.raises(InvalidRequest, match="'srt' with 'stream'"):
        read(("stream", "true"), ("response_format", "srt"))


@pytest.mark.parametrize(("written", "code"), [("jv", "jw"), ("nb", "no"), ("JV", "jw"), ("haw", "haw")])
def test_a_code_that_whisper_has_under_another_name_is_understood(written, code):
    assert read(("language", written)).language == code


def test_a_language_that_no_whisper_hears_is_not_called_a_wrong_code():
    with pytest.raises(InvalidRequest, match="Language 'eo' is not supported") as refusal:
        read(("language", "eo"))
    assert (refusal.value.param, refusal.value.code) == ("language", "unsupported_language")


def test_each_code_is_of_one_kind():
    assert set(OTHER_CODES.values()) <= set(LANGUAGES)
    assert not UNHEARD_CODES & (set(LANGUAGES) | set(OTHER_CODES))


def test_a_translation_may_say_what_is_spoken():
    assert read(("language", "de"), known=TRANSLATION_FIELDS).language == "de"


@pytest.mark.parametrize("field", ["stream", "timestamp_granularities[]"])
def test_a_translation_has_no_field_of_transcriptions(field):
    with pytest.raises(
        InvalidRequest, match=f"Unrecognized request argument supplied: {field.replace('[', '.').replace(']', '.')}"
    ):
        read((field, "en"), known=TRANSLATION_FIELDS)


def test_a_form_without_its_file_or_its_model_says_which_is_missing():
    with pytest.raises(InvalidRequest, match="Missing required parameter: 'file'"):
        read(recording=None)
    with pytest.raises(InvalidRequest, match="Missing required parameter: 'model'"):
        read_fields(Form(fields=(), recording=RECORDING), TRANSCRIPTION_FIELDS)
