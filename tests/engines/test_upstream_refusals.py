"""What clients hear of an upstream's refusals: whose fault it is, and which field, in our own words."""

import pytest

from parley.api.errors import error_body
from parley.core.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, ModelLoadFailed
from tests.builders_engines import run_round
from tests.builders_upstreams import KEY, engine_on, fake_upstream, upstream_at, words
from tests.engines.test_openai_server import answering, chat_round, text_round


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_the_operator_set_up_wrongly_is_a_503_while_the_model_is_brought_up_and_a_500_afterwards(
    status: int,
) -> None:
    refuses = answering(status, {"error": {"message": "no", "code": "model_not_found"}})
    async with fake_upstream(words(1), probe=refuses) as fake:
        with pytest.raises(ModelLoadFailed) as not_loaded:
            async with engine_on(upstream_at(fake.url)):
                pass
    async with fake_upstream(refuses) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(EngineFailed) as failed:
            await run_round(engine, text_round())
    assert [error_body(error.value, "req_1")[0] for error in (not_loaded, failed)] == [503, 500]


@pytest.mark.parametrize("param", ["temperature", "messages[0].content", "tools[0].function.parameters"])
async def test_a_refusal_for_one_of_the_clients_fields_names_it(param: str) -> None:
    script = answering(400, {"error": {"message": f"{KEY} at 10.0.0.7", "param": param, "code": "invalid_value"}})
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(InvalidRequest) as refused:
            await run_round(engine, chat_round())
    assert (refused.value.param, refused.value.code) == (param, "upstream_refused")
    assert f"'{param}'" in refused.value.message
    assert KEY not in refused.value.message
    assert "10.0.0.7" not in refused.value.message


@pytest.mark.parametrize(
    "param", ["stream_options", "model", f"tools {KEY}", "messages.http://10.0.0.7", 7, None, ["n"]]
)
async def test_a_refusal_for_anything_else_names_nothing(param: object) -> None:
    script = answering(400, {"error": {"message": "m", "param": param, "code": "context_length_exceeded"}})
    plain = answering(400, {"error": {"message": "m", "param": param}})
    async with fake_upstream(plain, script) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(InvalidRequest) as refused:
            await run_round(engine, chat_round())
        # Nor does it hide the code.
        with pytest.raises(ContextLengthExceeded):
            await run_round(engine, chat_round())
    assert refused.value.param is None
    assert "10.0.0.7" not in refused.value.message
