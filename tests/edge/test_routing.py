"""Which route a path and a method mean, and what is said when there is none."""

import pytest

from parley.api.call import Access
from parley.core.errors import MethodNotAllowed, NotFound
from tests.builders_edge import KEY, FakeEdge, ask, connected, request, running_edge

TABLE = FakeEdge().routes()


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/chat/complete", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/api/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/gpt-4/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/v1/chat/completions", "/v1/chat/completions"),
        ("//v1/chat/completions", "/v1/chat/completions"),
        ("/models", "/v1/models"),
        ("/v1/model", "/v1/models"),
        ("/V1/Models", "/v1/models"),
        ("/v1/completion", "/v1/completions"),
        ("/healthz", "/health"),
        # What the official command line of 2024 asks for when its base URL has no slash at the end.
        ("/v1chat/completions", "/v1/chat/completions"),
        ("/v1completions", "/v1/completions"),
        # A base URL with a slash too many, and one without its version.
        ("/v1//engines/davinci/completions", "/v1/engines/davinci/completions"),
        ("/engines/davinci/completions", "/v1/engines/davinci/completions"),
    ],
)
def test_wrong_path_names_the_nearest_right_one(path, nearest):
    with pytest.raises(NotFound) as refusal:
        TABLE.find("POST", path)
    assert refusal.value.message == f"Invalid URL (POST {path}). Did you mean {nearest}?"


@pytest.mark.parametrize("path", ["/", "/wp-login.php", "/\x00", "/" + "a/" * 4000, "/%2e%2e", "/ünïcode"])
def test_strange_path_names_none_and_is_not_repeated_at_length(path):
    with pytest.raises(NotFound) as refusal:
        TABLE.find("GET", path)
    assert "Did you mean" not in refusal.value.message
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models/gpt-4", "gpt-4"),
        ("/v1/models/gpt-4/", "gpt-4"),
        ("/v1/models/ft:gpt-3.5-turbo:org/x:2", "ft:gpt-3.5-turbo:org/x:2"),
        ("/v1/models/meta/llama/3", "meta/llama/3"),
        ("/v1/models/x\ny", "x\ny"),
    ],
)
def test_model_name_may_hold_anything(path, model):
    assert TABLE.find("GET", path).path_params == {"model": model}


def test_longer_pattern_is_tried_first():
    match = TABLE.find("POST", "/v1/engines/a/b/completions")
    assert match.route.path == "/v1/engines/{engine_id}/completions"
    assert match.path_params == {"engine_id": "a/b"}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/engines/davinci/generate", ""),
        ("/v1/engines/text-embedding-ada-002/embeddings", ""),
        ("/v1/models/gpt-4/completions", ". Did you mean /v1/completions?"),
    ],
)
def test_a_path_behind_a_models_name_is_unknown_rather_than_a_wrong_method(path, hint):
    with pytest.raises(NotFound) as refusal:
        TABLE.find("POST", path)
    assert refusal.value.message == f"Invalid URL (POST {path}){hint}"
    assert TABLE.find("GET", path)


def test_wrong_method_on_a_model_is_said_to_be_one():
    with pytest.raises(MethodNotAllowed):
        TABLE.find("DELETE", "/v1/models/gpt-4")


def test_wrong_method_names_the_right_ones():
    with pytest.raises(MethodNotAllowed) as refusal:
        TABLE.find("GET", "/v1/edits")
    assert refusal.value.allowed == ("OPTIONS", "POST")
    assert refusal.value.message.startswith("Not allowed to GET on /v1/edits.")


def test_head_is_allowed_where_get_is():
    assert TABLE.find("HEAD", "/v1/models").route.method == "GET"
    assert TABLE.allowed_methods("/v1/models") == ("GET", "HEAD", "OPTIONS")


async def test_unknown_path_and_method_in_openais_envelope():
    async with running_edge() as edge:
        unknown = await ask(edge, request(path="/v1/foo"))
        assert unknown.status == 404
        assert set(unknown.error) == {"message", "type", "param", "code"}
        wrong = await ask(edge, request("GET", "/v1/edits"))
        assert wrong.status == 405
        assert wrong.headers["allow"] == "OPTIONS, POST"
        assert wrong.error["code"] == "method_not_supported"


async def test_percent_encoded_model_name_is_decoded_once():
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/v1/models/ft%3Agpt%2Fx%2541"))
        assert reply.json()["params"] == {"model": "ft:gpt/x%41"}


async def test_head_has_the_headers_of_get_and_no_body():
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/health"))
        async with running_edge() as other:
            head = (await ask_raw(other, request("HEAD", "/health"))).split(b"\r\n\r\n")
        assert head[1] == b""
        assert f"content-length: {reply.headers['content-length']}".encode() in head[0]


async def ask_raw(edge: FakeEdge, data: bytes) -> bytes:
    async with connected(edge) as wire:
        await wire.send(data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return await wire.rest()


async def test_options_says_what_a_path_allows_without_a_key():
    async with running_edge() as edge:
        reply = await ask(edge, request("OPTIONS", "/v1/edits", key=None))
        assert (reply.status, reply.headers["allow"]) == (204, "OPTIONS, POST")


async def test_every_route_without_key_is_401_except_the_public_ones():
    async with running_edge() as edge:
        for route in edge.routes().routes:
            path = route.path.replace("{model}", "x").replace("{engine_id}", "x")
            reply = await ask(edge, request(route.method, path, key=None))
            assert (reply.status == 401) is (route.access is not Access.PUBLIC), route
        assert not edge.runs
        assert not edge.bodies


async def test_reply_carries_the_headers_of_the_api(caplog):
    caplog.set_level("INFO", logger="parley.api.reception")
    async with running_edge() as edge:
        replies = [
            await ask(edge, request()),
            await ask(edge, request("GET", "/v1/models")),
            await ask(edge, request(path="/v1/broken")),
        ]
        for reply in replies:
            assert reply.headers["x-request-id"].startswith("req_")
            assert int(reply.headers["openai-processing-ms"]) >= 0
            assert reply.headers["openai-version"] == "2020-10-01"
            assert reply.headers["openai-organization"] == "org-edge"
            assert reply.headers["x-content-type-options"] == "nosniff"
        assert len({reply.headers["x-request-id"] for reply in replies}) == 3
    lines = [record for record in caplog.records if record.message == "request finished"]
    assert [line.status for line in lines] == [200, 200, 500]
    assert [line.request_id for line in lines] == [reply.headers["x-request-id"] for reply in replies]


async def test_log_has_one_line_for_a_request_and_no_key_or_body(caplog):
    caplog.set_level("DEBUG")
    async with running_edge() as edge:
        await ask(edge, request(path="/v1/edits?key=CANARY-1", body=b'{"prompt": "CANARY-2"}'))
        await ask(edge, request(path="/v1/edits", key="sk-CANARY-3-not-a-right-key"))
    text = "\n".join(str(vars(record)) for record in caplog.records)
    assert "CANARY" not in text
    assert KEY not in text
    assert [record.status for record in caplog.records if record.message == "request finished"] == [200, 401]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/audio/speech", "/v1/responses"])
async def test_part_of_the_api_that_is_not_served_is_told_from_a_wrong_path(path):
    async with running_edge() as edge:
        reply = await ask(edge, request(path=path))
    assert reply.status == 404
    assert str(reply.error["message"]).startswith(f"Invalid URL (POST {path}). This version of Parley does not serve")


async def test_probes_are_logged_below_info(caplog):
    caplog.set_level("DEBUG")
    async with running_edge() as edge:
        await ask(edge, request(path="/health", method="GET"))
    lines = [record for record in caplog.records if record.message == "request finished"]
    assert [line.levelname for line in lines] == ["DEBUG"]


async def test_bug_is_a_500_that_gives_nothing_away(caplog):
    async with running_edge() as edge:
        reply = await ask(edge, request(path="/v1/broken"))
        assert reply.status == 500
        assert reply.error["type"] == "server_error"
        assert b"secret" not in reply.body
        assert b"0xdeadbeef" not in reply.body
        assert "ZeroDivisionError" in caplog.text
