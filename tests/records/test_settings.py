"""Settings: what beats what, and that a bad one is one line that names where it came from."""

from email.policy import default
from pathlib import Path

import pytest

from parley.infra.settings import (
    Settings,
    SettingsError,
    default_data_folder,
    load_settings,
    server_url,
    unknown_variables,
)
from parley.infra.settings_table import describe_settings, settings_table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))
    return tmp_path


def test_a_flag_beats_a_variable_a_variable_the_file_and_the_file_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().port == 8000
    (folder / "parley.toml").write_text("port = 8001\n")
    assert load_settings().port == 8001
    monkeypatch.setenv("PARLEY_PORT", "8002")
    assert load_settings().port == 8002
    assert load_settings({"port": "8003"}).port == 8003
    assert load_settings({"port": None}).port == 8002


def test_another_file_can_be_named_by_variable_and_by_flag(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.toml").write_text('host = "10.0.0.1"\n')
    (folder / "b.toml").write_text('host = "10.0.0.2"\ndata = "/somewhere/else"\n')
    monkeypatch.setenv("PARLEY_CONFIG", str(folder / "a.toml"))
    assert load_settings().host == "10.0.0.1"
    assert load_settings({"config": str(folder / "b.toml")}).host == "10.0.0.2"
    monkeypatch.delenv("PARLEY_DATA")
    assert load_settings({"config": str(folder / "b.toml")}).data == Path("/somewhere/else")


def test_a_named_file_must_exist_and_the_usual_one_need_not(folder: Path) -> None:
    assert load_settings().host == "127.0.0.1"
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        load_settings({"config": str(folder / "nowhere.toml")})


def test_trusted_proxies_are_networks_and_single_addresses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().proxy_networks == ()
    monkeypatch.setenv("PARLEY_TRUSTED_PROXIES", "10.1.2.3/8, ::1")
    assert [str(network) for network in load_settings().proxy_networks] == ["10.0.0.0/8", "::1/128"]


def test_an_empty_variable_is_no_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_BOOTSTRAP_KEY", "")
    monkeypatch.setenv("PARLEY_PORT", "")
    assert load_settings().bootstrap_key is None
    assert load_settings().port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("BOOTSTRAP_KEY", "too short"),
        ("BOOTSTRAP_KEY", "has a space in it, which no header carries"),
        ("BOOTSTRAP_KEY", "é" * 30),
        ("DRAIN_SECONDS", "-1"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://db/parley"),
        ("CORS_ORIGINS", "chat.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("NUM_SLOTS", "0"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"PARLEY_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"PARLEY_{name}: ")
    assert "\n" not in str(refused.value)


def test_a_bad_value_is_named_by_flag_or_file_where_it_came_from_there(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--port: "):
        load_settings({"port": "eighty"})
    (folder / "parley.toml").write_text('port = "eighty"\nprot = 1\n')
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert f"{folder}/parley.toml: port: " in str(refused.value)
    assert f"{folder}/parley.toml: prot is not a setting; did you mean port?" in str(refused.value)


def test_a_refused_secret_is_not_repeated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_BOOTSTRAP_KEY", "short-canary")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "canary" not in str(refused.value)
    monkeypatch.setenv("PARLEY_BOOTSTRAP_KEY", "canary-of-more-than-twenty")
    assert "canary" not in repr(load_settings())


def test_a_file_that_is_no_toml_is_named(folder: Path) -> None:
    (folder / "parley.toml").write_text("port: 8000")
    with pytest.raises(SettingsError, match=r"parley\.toml is not TOML.*line 1"):
        load_settings()


def test_origins_are_a_list_with_commas_or_a_toml_array(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "parley.toml").write_text('cors_origins = ["https://a.example"]')
    assert load_settings().cors_origins == ("https://a.example",)
    monkeypatch.setenv("PARLEY_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    assert load_settings().cors_origins == ("https://a.example", "http://localhost:3000")


def test_the_data_folder_is_where_desktops_keep_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    assert default_data_folder() == Path("/xdg/parley")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/alice")
    assert default_data_folder() == Path("/home/alice/.local/share/parley")


def test_the_database_is_in_the_data_folder_unless_it_is_said(folder: Path) -> None:
    assert load_settings().database_place == folder / "parley.db"
    assert load_settings({"database_url": "sqlite:////srv/p.db"}).database_place == Path("/srv/p.db")


def test_a_mistyped_variable_is_said_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_PROT", "1")
    monkeypatch.setenv("PARLEY_API_KEY", "a client's")
    assert unknown_variables() == ["PARLEY_PROT is not a setting; did you mean PARLEY_PORT?"]


def test_every_setting_is_described() -> None:
    rows = describe_settings()
    assert [row.name for row in rows] == list(Settings.model_fields)
    assert all(row.description.endswith(".") for row in rows)
    assert settings_table().count("\n") == len(rows) + 2


def test_the_readme_lists_every_setting() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert settings_table() in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PARLEY_PORT", "abc", "PARLEY_PORT: must be a whole number, not 'abc'"),
        ("PARLEY_DRAIN_SECONDS", "long", "PARLEY_DRAIN_SECONDS: must be a number, not 'long'"),
    ],
)
def test_what_is_no_number_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{said}$"):
        load_settings()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("fe80::1", "http://[fe80::1]:8000"),
        ("box.example.org", "http://box.example.org:8000"),
    ],
)
def test_a_servers_address_is_one_that_a_client_can_open(host: str, url: str) -> None:
    assert server_url(host, 8000) == url


@pytest.mark.parametrize(
    "sender",
    [
        "p@localhost",
        "<p@example.org>",
        "Parley <p@example.org>",
        '"Acme, Inc." <p@example.org>',
        "Bücher & Co. <p@example.org>",
    ],
)
def test_the_sender_of_mails_is_one_address(folder: Path, monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("PARLEY_MAIL_FROM", sender)
    header = default.header_factory("From", load_settings().mail_from)
    assert [address.addr_spec for address in header.addresses] == [sender.rpartition("<")[2].rstrip(">")]


@pytest.mark.parametrize(
    "sender",
    [
        "parley",
        "a@b.org, c@d.org",
        "Acme, Inc. <a@b.org>",
        "a@bücher.example",
        "ä@b.org",
        "a@b.org\nBcc: c@d.org",
        "x\ny <a@b.org>",
        "=?utf-8?q?x=0ay?= <a@b.org>",
        "Acme <>",
        "a b@c.org",
        "Acme Inc.<a@b.org>",
        ".NET Team <a@b.org>",
        "Acme\u2028Inc <a@b.org>",
        "Acme\x85Inc <a@b.org>",
        "a..b@c.org",
        "a@b..org",
        "a@",
    ],
)
def test_another_sender_is_refused_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("PARLEY_MAIL_FROM", sender)
    with pytest.raises(SettingsError, match=r"^PARLEY_MAIL_FROM: must be one address in ASCII.*$"):
        load_settings()


@pytest.mark.parametrize("name", ["PARLEY_SMTP_USER", "PARLEY_SMTP_PASSWORD"])
def test_what_smtp_cannot_log_in_with_is_refused_unshown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "pässwörd")
    with pytest.raises(SettingsError, match=f"^{name}: must be printable ASCII") as refusal:
        load_settings()
    assert ("pässwörd" in str(refusal.value)) is (name == "PARLEY_SMTP_USER")
