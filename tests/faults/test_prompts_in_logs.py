"""K2: what clients send and are answered is in no log, whatever becomes of the request; the engines' own output neither."""

import os
import secrets
import signal
from pathlib import Path

from tests.faults.wire import leave, post, read_all, read_until, send
from tests.live import engine_pid, running_server


def test_k2_a_prompt_is_in_no_log_and_in_no_file_of_a_server_whose_engine_is_killed_under_it(tmp_path: Path) -> None:
    canary = f"CANARY-{secrets.token_hex(8)}"
    with running_server(tmp_path) as server:
        for is_stream in (False, True):
            for path, body in (
                ("/v1/completions", {"model": "parley-mini", "prompt": canary, "max_tokens": 3, "echo": True}),
                ("/v1/chat/completions", {"model": "parley-mini", "messages": [{"role": "user", "content": canary}]}),
                # Refused for what they hold.
                ("/v1/completions", {"model": "parley-mini", "prompt": canary, "max_tokens": canary}),
                ("/v1/chat/completions", {"model": canary, "messages": [{"role": canary, "content": canary}]}),
                (
                    "/v1/chat/completions",
                    {"model": "parley-mini", "messages": [{"role": "user", "content": canary * 9_000}]},
                ),
            ):
                read_all(send(server, path, {**body, "stream": is_stream}))
        left = send(server, "/v1/completions", long_body(canary))
        read_until(left, b"data: ")
        leave(left, how="RST")
        # Its engine dies of a signal while it answers.
        broken = send(server, "/v1/completions", long_body(canary))
        read_until(broken, b"data: ")
        os.kill(engine_pid(server), signal.SIGABRT)
        read_all(broken)
        assert post(server, "/v1/completions", {"model": "parley-mini", "prompt": "Hi", "max_tokens": 1})[0] == 200
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
    assert server.log.read_text().count("request finished") >= 10
    found = [path for path in tmp_path.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]
    assert found == []


def long_body(canary: str) -> dict[str, object]:
    return {"model": "parley-mini", "prompt": canary, "max_tokens": 4_000, "stream": True, "logit_bias": {300: 100}}
