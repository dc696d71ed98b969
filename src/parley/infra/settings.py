"""Settings: the only reader of the environment. A flag beats a variable, a variable the file, the file the default."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict

from parley.core.errors import OperatorError
from parley.infra.mail_sender import is_sender

PREFIX = "PARLEY_"
# Read here for the command line as a client; no settings of the server.
CLIENT_VARIABLES = ("PARLEY_URL", "PARLEY_API_KEY")
# Kinds of pydantic's faults, whose own words are a programmer's.
_NUMBERS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
}
_ORIGIN = re.compile(r"\*|https?://[^\s/,]+")


class SettingsError(OperatorError):
    """A setting that cannot be used. The message is one line that names the flag, variable or file entry."""


class FlagRefused(SettingsError):
    """It was given with a flag."""


def default_data_folder() -> Path:
    """`$XDG_DATA_HOME/parley`, or `~/.local/share/parley` where that variable is not set."""
    xdg = os.environ.get("XDG_DATA_HOME", "")  # noqa: TID251 - the only reader of the environment
    # The XDG specification says that a relative path is to be ignored.
    root = Path(xdg) if xdg.startswith("/") else Path("~/.local/share").expanduser()
    return root / "parley"


class Settings(BaseSettings):
    """Everything an operator can set. Each field is `PARLEY_<NAME>`, a line of the TOML file and a flag of `serve`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 opens it to the network.")
    port: int = Field(8000, ge=1, le=65535, description="TCP port to listen on.")
    data: Path = Field(
        default_factory=default_data_folder,
        description="The folder that holds everything: database, keys, models, catalog.toml, parley.toml.",
    )
    database_url: str | None = Field(
        None,
        description="Where records are kept: sqlite:////absolute/path.db, or postgresql://user:password@host/database. "
        "Without it, parley.db in the data folder.",
    )
    mode: Literal["open", "metered"] = Field(
        "open",
        description="open: the organization of the first start has no limits and no balance to run out of; metered: it "
        "has, as every other.",
    )
    bootstrap_key: SecretStr | None = Field(
        None,
        description="A key of 20 to 200 characters; the first one that an installation is given becomes an owner key.",
    )
    sign_up: Literal["open", "approval", "closed"] = Field(
        "open",
        description="Who may sign up: open: whoever reads the code that is mailed; approval: then waits for the operator.",
    )
    sign_up_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Domains of e-mail addresses that may sign up, separated by commas. Without it, every one."
    )
    public_url: str | None = Field(
        None, description="Where people reach this server, for links in mails; https:// makes session cookies secure."
    )
    smtp_host: str | None = Field(
        None,
        description="Server that mails are sent through. Without it they go to the folder outbox of the data folder.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_user: str | None = Field(None, description="Whom to log in there as.")
    smtp_password: SecretStr | None = Field(None, description="The password for that.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to it is encrypted; none: not at all."
    )
    mail_from: str = Field(
        "parley@localhost", description="The sender of mails: one address, with or without a name before it."
    )
    drain_seconds: float = Field(
        120.0, ge=0, le=86_400, description="How long running requests may go on after SIGTERM before they are cut."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",), description="Origins whose web pages may call the API, separated by commas; * is every origin."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For is believed, separated by commas.",
    )
    max_connections_per_address: int = Field(
        1024,
        ge=1,
        description="Connections that one address (of IPv6, one /64) may have open. Trusted proxies and this machine itself have no such cap.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe log line kept."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="json: one object per line; text: for people; auto: text on a terminal, json elsewhere."
    )
    num_slots: int | None = Field(
        None, ge=1, le=1024, description="Sequences that run at once in one replica. Without it, the catalog's figure."
    )
    num_threads: int | None = Field(
        None, ge=1, le=1024, description="Threads of one engine. Without it, the cores that this process may use."
    )
    llama_build: Path | None = Field(
        None,
        description="A folder with llama.cpp built for this machine's processor, as `make native` makes it. "
        "Without it, the build that comes with Parley and runs on every processor.",
    )
    max_waiting: int = Field(
        256,
        ge=0,
        le=1_000_000,
        description="Requests of one project that may wait for a model's slots; one more is answered 503.",
    )
    memory_budget_mib: int | None = Field(
        None,
        ge=1,
        description="What the models in memory may take together, in MiB; the least recently used ones make room. "
        "Without it, three quarters of the machine's memory.",
    )
    keep_alive_seconds: float | None = Field(
        None,
        ge=0,
        description="How long a model may idle in memory, unless the catalog says otherwise for it. Without it, until "
        "others need the room.",
    )

    max_upload_mib: int = Field(25, ge=1, le=4096, description="The largest file of audio that may be sent, in MiB.")
    max_audio_seconds: float = Field(
        14_400.0, ge=1, le=864_000, description="The longest recording that is heard, in seconds of sound."
    )
    voice_threshold: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="How likely somebody must be speaking for a moment to be heard at all; 0 hears everything that is not digital silence.",
    )
    whisper_compression_ratio: float = Field(
        2.4,
        gt=0,
        description="Text of Whisper's that can be made smaller by more than this repeats itself: it is decoded again.",
    )
    whisper_log_prob: float = Field(
        -1.0, le=0, description="Text whose tokens have a mean log-probability below this is decoded again."
    )
    whisper_no_speech: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Text of such a low one, in a window that is silent with a higher probability than this, is left out.",
    )
    whisper_max_repeats: int = Field(
        4,
        ge=0,
        le=100,
        description="How often a phrase may be said in a row before it is decoded again, and at last cut; 0 is as often as it likes.",
    )
    max_images: int = Field(10, ge=0, le=1000, description="Images that one request may have.")
    max_image_pixels: int = Field(
        20_000_000,
        ge=64,
        le=89_000_000,
        description="Pixels that an image's file may have; it is shrunk before it is read.",
    )
    max_chat_mib: int = Field(
        32,
        ge=4,
        le=512,
        description="The largest body of a chat, in MiB, where images take what is above the 4 of every other request.",
    )
    image_memory_mib: int = Field(
        512,
        ge=64,
        description="What the decoded images of all requests may take together, in MiB, and half as much what they are sent in; more are answered 503.",
    )

    hub_endpoint: str = Field(
        "https://huggingface.co",
        description="The model hub that `parley pull` asks; a mirror of your own may be named.",
    )
    hub_token: SecretStr | None = Field(
        None, description="A token of that hub, for models that are not open to everybody; it goes to no other host."
    )

    @field_validator("data", "llama_build", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("database_url", mode="after")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is None or re.fullmatch(r"sqlite:////?[^?]+|postgresql://.+", value):
            return value
        raise ValueError("must be sqlite:////absolute/path.db or postgresql://user:password@host/database")

    @field_validator("bootstrap_key", mode="after")
    @classmethod
    def _usable_key(cls, value: SecretStr | None) -> SecretStr | None:
        # What a bearer token in an HTTP header can carry, and long enough not to be guessed.
        if value is not None and not re.fullmatch(r"[!-~]{20,200}", value.get_secret_value()):
            raise ValueError("must have 20 to 200 characters, printable ASCII without spaces")
        return value

    @field_validator("hub_endpoint", mode="after")
    @classmethod
    def _usable_endpoint(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+/?", value):
            raise ValueError("must be the address of a server such as https://hub.example.org")
        return value.rstrip("/")

    @field_validator("hub_token", mode="after")
    @classmethod
    def _usable_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{1,500}", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return value

    @field_validator("smtp_user", "smtp_password", mode="after")
    @classmethod
    def _sayable(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and not re.fullmatch(r"[ -~]+", text):
            raise ValueError("must be printable ASCII, all that can be logged in with there")
        return value

    @field_validator("mail_from", mode="after")
    @classmethod
    def _one_sender(cls, value: str) -> str:
        if not is_sender(value):
            raise ValueError(
                'must be one address in ASCII, such as a@example.org, or one with a name: "Acme, Inc." <a@example.org>'
            )
        return value

    @field_validator("public_url", mode="after")
    @classmethod
    def _usable_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#]+", value.rstrip("/")):
            raise ValueError("must be an address such as https://ai.example.org, without a path")
        return None if value is None else value.rstrip("/")

    @field_validator("cors_origins", "trusted_proxies", "sign_up_domains", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins", mode="after")
    @classmethod
    def _valid_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin such as https://chat.example.org, or *")
        return value

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _valid_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`trusted_proxies` as networks; a single address is a network of one."""
        return tuple(ip_network(network, strict=False) for network in self.trusted_proxies)

    @property
    def database_place(self) -> Path | str:
        """Where records are kept: the file of the SQLite database, or PostgreSQL's URL."""
        if self.database_url is None:
            return self.data / "parley.db"
        if self.database_url.startswith("postgresql://"):
            return self.database_url
        return Path(self.database_url.removeprefix("sqlite:///")).expanduser().absolute()


def server_url(host: str, port: int) -> str:
    """The address of a server that listens on `host`, as a client of this machine writes it."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings from flags, environment and file. `flags` holds only what was given; `config` names another file.

    Raises SettingsError; for one of the flags, FlagRefused.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    variables = EnvSettingsSource(Settings)()
    file = _find_file(given.pop("config", None), given.get("data") or variables.get("data"))
    entries = _read_file(file) if file is not None else {}
    sources: dict[str, str] = {name: f"{file}: {name}" for name in entries}
    sources |= {name: PREFIX + name.upper() for name in variables}
    sources |= {name: "--" + name.replace("_", "-") for name in given}
    try:
        return Settings(**{**entries, **variables, **given})
    except ValidationError as error:
        is_typed = any(fault["loc"] and fault["loc"][0] in given for fault in error.errors())
        kind = FlagRefused if is_typed else SettingsError
        raise kind("; ".join(_explain(fault, sources) for fault in error.errors())) from None


def unknown_variables() -> list[str]:
    """One line per `PARLEY_...` variable in the environment that nothing reads, with the nearest name that is read."""
    known = [PREFIX + name.upper() for name in Settings.model_fields] + ["PARLEY_CONFIG", *CLIENT_VARIABLES]
    lines = []
    for name in sorted(os.environ):  # noqa: TID251 - the only reader of the environment
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            lines.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the command line finds a server and the key it calls with; None where nothing was said."""

    url: str | None
    api_key: str | None


def load_client_settings() -> ClientSettings:
    """`PARLEY_URL` and `PARLEY_API_KEY`."""
    environment = os.environ  # noqa: TID251 - the only reader of the environment
    return ClientSettings(url=environment.get("PARLEY_URL") or None, api_key=environment.get("PARLEY_API_KEY") or None)


def read_variable(name: str) -> str | None:
    """A variable that the operator named in the catalog for an upstream's key; None when it is not set or empty."""
    return os.environ.get(name) or None  # noqa: TID251 - the only reader of the environment


def environment_of_programs() -> dict[str, str]:
    """What the operator's own programs get: everything but Parley's settings, among which are keys."""
    environment = os.environ  # noqa: TID251 - the only reader of the environment
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def _find_file(flag: object, data: object) -> Path | None:
    """The file named by flag or `PARLEY_CONFIG`, which must exist; else `parley.toml` in the data folder if it is there."""
    named = flag or os.environ.get("PARLEY_CONFIG")  # noqa: TID251 - the only reader of the environment
    if named:
        return Path(str(named)).expanduser().absolute()
    folder = Path(str(data)).expanduser().absolute() if data else default_data_folder()
    usual = folder / "parley.toml"
    return usual if usual.is_file() else None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"PARLEY_CONFIG: {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None


def _explain(fault: Any, sources: Mapping[str, str]) -> str:  # noqa: ANN401 - pydantic's own TypedDict, not exported
    name = str(fault["loc"][0]) if fault["loc"] else "settings"
    source = sources.get(name, PREFIX + name.upper())
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(name, list(Settings.model_fields), n=1)
        return f"{source} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    if fault["type"] in _NUMBERS:
        return f"{source}: must be {_NUMBERS[fault['type']]}, not {str(fault.get('input'))[:80]!r}"
    reason = str(fault["msg"]).removeprefix("Value error, ")
    is_secret = name in {"bootstrap_key", "database_url", "hub_token", "smtp_password"}
    got = "" if is_secret else f" (it is {str(fault.get('input'))[:80]!r})"
    return f"{source}: {reason}{got}"
