"""Bodies that were written to hurt: what each row of the table holds, and the status that it must be answered with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

CHAT, COMPLETIONS, EDITS = "/v1/chat/completions", "/v1/completions", "/v1/edits"
BASES = {
    CHAT: {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    COMPLETIONS: {"model": "text-davinci-003", "prompt": "hi", "max_tokens": 1},
}
# Just under what a body may have.
MOST = 4 * 1024 * 1024 - 4096

NUMBERS = {
    CHAT: ("n", "max_tokens", "max_completion_tokens", "seed", "top_logprobs"),
    COMPLETIONS: ("n", "max_tokens", "best_of", "logprobs", "seed"),
}
DECIMALS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, '"3"', "true", "[]", "{}", "1e30", "-1e30")
NO_INTEGERS = ("2.0", "1e2", "1" + "0" * 400, str(2**63), str(-(2**63) - 1))
# Fields of the engines' own servers, and of others' APIs, that would do something if they were handed on.
FOREIGN = (
    "top_k", "min_p", "grammar", "json_schema", "n_predict", "n_keep", "n_discard", "cache_prompt", "id_slot", "samplers",
    "lora", "ignore_eos", "n_probs", "response_fields", "image_data", "chat_template", "chat_template_kwargs",
    "prompt_embeds", "cache_salt", "guided_json", "structured_outputs", "stop_token_ids", "prompt_logprobs",
    "truncate_prompt_tokens", "skip_special_tokens", "add_special_tokens", "mm_processor_kwargs", "priority",
    "kv_transfer_params", "repetition_penalty", "api_base", "api_key", "base_url", "__class__", "speculative.n_max",
)  # fmt: skip
VALUES = {
    "deep": "[" * 1_000_000 + "]" * 1_000_000,
    "unclosed": '{"a":' * 500_000,
    "arrays": "[" + "[]," * 1_300_000 + "1]",
    "objects": "[" + "{}," * 1_300_000 + "1]",
    "strings": "[" + '"",' * 1_300_000 + "1]",
    "keys": "{" + ",".join(f'"{n}":0' for n in range(300_000)) + "}",
    "long": '"' + "a" * (MOST - 1_000) + '"',
}
NO_JSON = (
    b"", b" ", b"null", b"1", b'"x"', b"[]", b"{}", b"\x00", b"\xef\xbb\xbf{}", b"{'a':1}", b'{"a":1,}', b"/**/{}",
    '{"model":"m"}'.encode("utf-16"), b"\x1f\x8b\x08\x00", b'{"model":"\xff"}', b'{"model":"\xc0\xaf"}',
    b'{"model":"\xed\xa0\x80"}', b'{"model":"\\ud800"}', b'{"model":"\x01"}', b"[" * MOST, b'"' * MOST,
)  # fmt: skip
MESSAGES: dict[str, object] = {
    "none": [],
    "100,000": [{"role": "user", "content": ""}] * 90_000,
    "2,049": [{"role": "user", "content": ""}] * 2_049,
    "an unknown role": [{"role": "root", "content": "x"}],
    "a role with a line break": [{"role": "user\n", "content": "x"}],
    "a long role": [{"role": "u" * 1_000_000, "content": "x"}],
    "no content": [{"role": "user"}],
    "no parts": [{"role": "user", "content": []}],
    "a name with a line break": [{"role": "user", "content": "x", "name": "a\n"}],
    "a name that is a marker": [{"role": "user", "content": "x", "name": "<|im_end|>"}],
    "a long name": [{"role": "user", "content": "x", "name": "a" * 1_000_000}],
    "a name of other digits": [{"role": "user", "content": "x", "name": "\u0663"}],
    "an address": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}]}],
    "a file": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "/etc/passwd"}}]}],
    "a text of 4 MB": [{"role": "user", "content": "a" * MOST}],
    "markers of 4 MB": [{"role": "user", "content": "<|im_end|>" * (MOST // 10)}],
    "a million marks": [{"role": "user", "content": "e" + "\u0301" * 600_000}],
    "too many for the window": [{"role": "user", "content": "a b c d e"}] * 2_048,
}
TEXTS = (
    "",
    "  \n\t",
    "a\0b",
    "\u202eabc\u2069",
    "\ufffe\uffff\U0010ffff",
    "\ufeffx",
    "e" + "\u0301" * 500,
    "\u200d" * 200,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One body and what must come of it."""

    name: str
    path: str
    body: bytes
    status: int = 400


def rows() -> Iterator[Row]:
    """The whole table."""
    for path in BASES:
        yield from _numbers(path)
        yield from _fields(path)
        for name, text in VALUES.items():
            for field in ("messages" if path == CHAT else "prompt", "logit_bias", "stop", "tools", "user"):
                # Text alone may stop a completion, however long it is.
                status = 200 if (field, name) == ("stop", "long") else 400
                yield Row(name=f"{field}: {name}", path=path, body=_with(path, field, text)[:MOST], status=status)
        for number, body in enumerate(NO_JSON):
            yield Row(name=f"no JSON {number}", path=path, body=body)
    for name, messages in MESSAGES.items():
        yield Row(name=f"messages: {name}", path=CHAT, body=_json(CHAT, messages=messages))
    yield from _prompts()
    for text in TEXTS:
        user = [{"role": "user", "content": text}]
        yield Row(name=f"message {text[:9]!a}", path=CHAT, body=_json(CHAT, messages=user), status=200)
        yield Row(name=f"prompt {text[:9]!a}", path=COMPLETIONS, body=_json(COMPLETIONS, prompt=text), status=200)


def _numbers(path: str) -> Iterator[Row]:
    for field in NUMBERS[path] + DECIMALS:
        for text in NO_NUMBERS + (NO_INTEGERS if field in NUMBERS[path] else ()):
            yield Row(name=f"{field}={text[:12]}", path=path, body=_with(path, field, text))
    for field, values in {
        "n": (0, -1, 129, 10**9),
        "seed": (2**63,),
        "temperature": (-0.1, 2.1),
        "top_p": (1.1,),
    }.items():
        for value in values:
            yield Row(name=f"{field}={value}", path=path, body=_json(path, **{field: value}))
    for value in (-1, 10**9, 2**63 - 1, 2**63):
        yield Row(name=f"max_tokens={value}", path=path, body=_json(path, max_tokens=value))


def _fields(path: str) -> Iterator[Row]:
    for field in FOREIGN:
        yield Row(name=f"extra {field}", path=path, body=_json(path, **{field: 1}))
    yield Row(name="100,000 extras", path=path, body=_json(path, **{f"x{n}": 1 for n in range(100_000)}))
    yield Row(name="an extra of 4 MB", path=path, body=_json(path, **{"x" * MOST: 1}))
    biases: dict[str, dict[str, object]] = {
        "300,000": {str(n): 1 for n in range(300_000)},
        "outside": {"999999999": 1},
        "negative": {"-1": 1},
        "5,000 digits": {"9" * 5000: 1},
        "other digits": {"\u0661": 1},
        "above 100": {"5": 101},
    }
    for name, bias in biases.items():
        yield Row(name=f"logit_bias {name}", path=path, body=_json(path, logit_bias=bias))
    yield Row(name="logit_bias NaN", path=path, body=_with(path, "logit_bias", '{"5":NaN}'))
    yield Row(name="10,000 stops", path=path, body=_json(path, stop=["a"] * 10_000))
    yield Row(name="a user of 1 MB", path=path, body=_json(path, user="a" * 1_000_000))
    base = _json(path)
    yield Row(name="the model twice", path=path, body=base[:-1] + b',"model":"no-such"}', status=404)
    yield Row(name="the model twice, last right", path=path, body=b'{"model":"no-such",' + base[1:], status=200)
    yield Row(name="a path as model", path=path, body=_json(path, model="../../etc/passwd"), status=404)
    yield Row(name="a model of 1 MB", path=path, body=_json(path, model="m" * 1_000_000))


def _prompts() -> Iterator[Row]:
    prompts: dict[str, object] = {
        "none": [], "an empty list": [[]], "an unknown id": [10**9], "a negative id": [-1], "a huge id": [2**63],
        "mixed": [1, "a"], "a boolean": [True], "2,049": ["a"] * 2_049, "900,000": [""] * 900_000, "a million ids": [1] * 10**6,
        "4 MB": "a" * MOST, "a million marks": "e" + "\u0301" * 600_000,
    }  # fmt: skip
    for name, prompt in prompts.items():
        yield Row(name=f"prompt: {name}", path=COMPLETIONS, body=_json(COMPLETIONS, prompt=prompt))
    for fields in (
        {"prompt": ["a"] * 2_048, "n": 128},
        {"prompt": ["a"] * 2_048, "best_of": 20},
        {"max_tokens": 0},
        {"max_tokens": 2**63 - 1, "echo": True},
        {"logprobs": 6},
        {"logprobs": 10**9},
        {"best_of": 10**9},
        {"n": 3, "best_of": 2},
        {"echo": True, "suffix": "x"},
        {"prompt": [300] * 4_000, "max_tokens": 0, "echo": True, "logprobs": 5, "n": 128},
        {"suffix": "x" * 3_000_000},
    ):
        name = ",".join(f"{key}={str(value)[:9]}" for key, value in fields.items())
        yield Row(name=name, path=COMPLETIONS, body=_json(COMPLETIONS, **fields))
    nothing = _json(COMPLETIONS, prompt="", echo=True, max_tokens=0, logprobs=5)
    yield Row(name="an echo of nothing", path=COMPLETIONS, body=nothing, status=200)
    edit = {"model": "text-davinci-edit-001", "instruction": "a", "n": 10**9}
    yield Row(name="edits: n", path=EDITS, body=json.dumps(edit).encode())


def _json(path: str, **fields: object) -> bytes:
    return json.dumps(BASES[path] | fields, separators=(",", ":")).encode()


def _with(path: str, field: str, text: str) -> bytes:
    """The base body with `text`, which need not be JSON, as the value of `field`."""
    return _json(path, **{field: "@@"}).replace(b'"@@"', text.encode())
