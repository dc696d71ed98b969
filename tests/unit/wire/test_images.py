"""Images on the wire of a chat: where they stand in a message, and what is refused before anything is decoded."""

import pytest

from parley.api.openai import chat
from parley.api.openai.images import check_text_size
from parley.core.errors import InvalidRequest, RequestTooLarge, UnsupportedParameter
from parley.core.picture import Detail, PictureSource
from parley.core.requests import ChatPrompt, Inset
from tests.unit.wire.error_cases import chat_body

URL = "data:image/png;base64,AAAA"


def body_of(*parts: object, role: str = "user"):
    return chat.BODY.decode(chat_body(messages=[{"role": role, "content": list(parts)}]))


def message(*parts: object, role: str = "user"):
    (prompt,) = chat.to_core(body_of(*parts, role=role)).prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages[0]


def refusal(*parts: object, role: str = "user") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        message(*parts, role=role)
    return raised.value


def image(url: object = URL, **more: object) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(content: str) -> dict[str, object]:
    return {"type": "text", "text": content}


def test_images_stand_in_the_text_where_they_were_put() -> None:
    got = message(image(), text("one"), image(detail="low"), image(detail="high"), text("two"), image(detail="auto"))
    assert got.content == "onetwo"
    assert [inset.at for inset in got.pictures] == [0, 3, 3, 6]
    assert [inset.source.detail for inset in got.pictures] == [Detail.AUTO, Detail.LOW, Detail.HIGH, Detail.AUTO]
    assert got.pictures[1].source.param == "messages[0].content[2].image_url.url"
    assert {inset.source.encoded for inset in got.pictures} == {"AAAA"}


def test_the_url_may_stand_alone_as_the_first_clients_wrote_it() -> None:
    got = message({"type": "image_url", "image_url": URL})
    source = PictureSource(encoded="AAAA", detail=Detail.AUTO, param="messages[0].content[0].image_url")
    assert got.pictures == (Inset(0, source),)


@pytest.mark.parametrize(
    "url",
    ["DATA:IMAGE/PNG;BASE64,AAAA", "data:image/jpeg;base64,AAAA", "data:image/png;charset=utf-8;base64,AAAA",
     "data:image/whatever; base64,AAAA"],
)  # fmt: skip
def test_every_spelling_of_a_data_url_is_taken(url: str) -> None:
    assert message(image(url)).pictures[0].source.encoded == "AAAA"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.png", "https://example.com/a.png", "HTTPS://EXAMPLE.COM", "file:///etc/passwd", "ftp://x/y",
     "//example.com/a.png", "/etc/passwd", "", "AAAA", "data:", "data:,", "data:image/png,AAAA", "data:text/html;base64,AAAA",
     "data:image/png;base64AAAA", "javascript:alert(1)", "data:application/pdf;base64,AAAA", "gopher://x"],
)  # fmt: skip
def test_nothing_is_ever_fetched(url: str) -> None:
    refused = refusal(image(url))
    assert (refused.param, refused.code) == ("messages[0].content[0].image_url.url", "invalid_image_url")
    assert ("fetches nothing" in refused.message) is url.lower().startswith("http")
    assert "data:image/png;base64," in refused.message


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
def test_only_users_show_images(role: str) -> None:
    refused = refusal(text("Hi"), image(), role=role)
    assert (refused.param, refused.code) == ("messages[0]", "invalid_value")
    assert f"role '{role}'" in refused.message


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url"}, "messages[0].content[0].image_url"),
        ({"type": "image_url", "image_url": None}, "messages[0].content[0].image_url"),
        ({"type": "image_url", "image_url": {}}, "messages[0].content[0].image_url.url"),
        ({"type": "image_url", "image_url": 5}, "messages[0].content[0].image_url"),
        ({"type": "image_url", "image_url": {"url": 5}}, "messages[0].content[0].image_url.url"),
        (image(detail="huge"), "messages[0].content[0].image_url.detail"),
        (image(width=5), "messages[0].content[0].image_url.width"),
        ({**image(), "text": "x"}, "messages[0].content[0].text"),
        ({**text("x"), "image_url": URL}, "messages[0].content[0].image_url"),
    ],
)
def test_what_is_wrong_with_a_part_is_named(part: dict[str, object], param: str) -> None:
    assert refusal(part).param == param


def test_other_parts_are_refused_as_before() -> None:
    for part in ({"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}):
        with pytest.raises(UnsupportedParameter):
            message(part)


def test_what_is_above_four_megabytes_must_be_images() -> None:
    most = 4 * 1024 * 1024
    many = image("data:image/png;base64," + "A" * (most + 10))
    messages = body_of(text("Hi"), many, {"type": "image_url", "image_url": URL}).messages
    check_text_size(most + 200, messages)
    check_text_size(2 * most, messages)
    with pytest.raises(RequestTooLarge, match="images not counted"):
        check_text_size(2 * most + 200, messages)
    with pytest.raises(RequestTooLarge):
        check_text_size(most + 1, body_of(text("Hi")).messages)
