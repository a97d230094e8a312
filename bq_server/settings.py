"""Every setting once: its flag, its `BQ_*` variable and its TOML key all come from the fields here."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_ORIGIN = re.compile(r"\*|https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?")
"""As a browser writes it, or every one."""

KiB = 1024
MiB = 1024 * KiB


class Settings(BaseModel):
    """Flag over environment over file over default. Raises `pydantic.ValidationError` for a value out of range."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    data_dir: Path = Field(Path("bq-data"), description="Directory that holds the facts, the keys and the stream.")
    redis_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey 7 or newer (redis://, rediss:// or unix://) in place of the embedded one.",
    )
    redis_prefix: str = Field(
        "bq", min_length=1, max_length=100, description="Start of the name of every key kept in the stream server."
    )
    dev_key: SecretStr | None = Field(
        None, description="A bq_test_ key (32 hex characters after the prefix), valid while this is set, every scope."
    )
    game: Path | None = Field(
        None, description="Game document applied to the test environment at the start and whenever it changes."
    )
    http_lane: Literal["on", "off"] = Field(
        "on", description="Whether the two hot routes have a way of their own, beside the ASGI server."
    )
    max_connections: int = Field(
        4096, ge=1, description="Connections that may be open; fewer where the limit of file descriptors is lower."
    )
    max_connections_per_address: int = Field(1024, ge=1, description="Connections that one address may have open.")
    max_inflight_bytes: int = Field(
        64 * MiB,
        ge=1 * MiB,
        description="Bytes that bodies and answers under way may take in all; past it 503 overloaded.",
    )
    cors_origins: str | None = Field(
        None,
        description="Origins whose pages may call the API from a browser (https://shop.example), with commas; or *.",
    )
    text_plain_events: bool = Field(
        False, description="Whether events are also read from bodies of the type text/plain, as sendBeacon sends them."
    )
    webhook_addresses: Literal["auto", "public", "any"] = Field(
        "auto",
        description="Which addresses webhooks may call: public ones, any, or any on a server bound to loopback only.",
    )
    webhook_retry_seconds: float = Field(
        5, gt=0, le=60, description="Seconds before a webhook is tried again; each further wait is 4 times as long."
    )
    max_feeds: int = Field(64, ge=1, le=1000, description="Feeds (GET /api/v1/feed) that may be open at once.")
    max_feeds_per_key: int = Field(16, ge=1, le=1000, description="Feeds that may be open at once with one key.")
    feed_heartbeat_seconds: float = Field(
        15, ge=0.1, le=300, description="Seconds of silence after which a feed tells that it is alive."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Readable lines, JSON lines, or whichever suits: readable on a terminal, JSON when piped."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    max_body_bytes: int = Field(1 * MiB, ge=1 * KiB, description="Largest request body, in bytes.")
    max_batch_body_bytes: int = Field(8 * MiB, ge=1 * KiB, description="Largest body of a batch request, in bytes.")
    max_properties_bytes: int = Field(
        64 * KiB, ge=2, description="Largest properties object of one event, in bytes of compact JSON."
    )
    max_nesting: int = Field(32, ge=1, le=100, description="Deepest nesting of objects and arrays in properties.")
    max_batch_events: int = Field(100, ge=1, le=1000, description="Most events in one batch.")
    idempotency_window_hours: int = Field(
        24, ge=24, description="Hours for which the stream remembers an idempotency key; the facts remember for ever."
    )
    queue_limit: int = Field(
        1_000_000, ge=1, description="Events that may wait in the stream; past it the answer is 503 stream_full."
    )
    read_timeout_seconds: float = Field(
        10, gt=0, description="Seconds in which a request's head, and then its body, must have arrived."
    )
    write_timeout_seconds: float = Field(
        30, gt=0, description="Seconds after which a client that takes nothing of its answer is cut off."
    )
    stop_with_stdin: bool = Field(
        False, description="Stop when standard input ends, as it does when whoever started the server is gone."
    )
    shutdown_timeout_seconds: float = Field(
        10, gt=0, description="Seconds that requests under way get to finish after SIGINT or SIGTERM."
    )

    @field_validator("data_dir", "game", mode="before")
    @classmethod
    def _names_a_path(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("must name a path; '.' is the working directory")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        for origin in origins_of(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin: https:// or http://, a host in lower case, perhaps a port")
        return value

    @field_validator("dev_key")
    @classmethod
    def _is_a_test_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"bq_test_[0-9a-f]{32}", value.get_secret_value()):
            raise ValueError("must be bq_test_ and 32 hex characters")
        return value

    @classmethod
    def load(cls, flags: dict[str, Any], config: Path | None = None) -> "Settings":
        """The settings of a process: what `flags` holds, then `BQ_*` variables, then the TOML file, then defaults.

        Raises `pydantic.ValidationError` for a wrong value or an unknown TOML key, `FileNotFoundError` and
        `tomllib.TOMLDecodeError` for the file.
        """
        if config is not None and not config.is_file():
            raise FileNotFoundError(f"there is no configuration file {config}")
        from pydantic_settings import (  # takes as long as all that a --help needs
            BaseSettings,
            PydanticBaseSettingsSource,
            SettingsConfigDict,
            TomlConfigSettingsSource,
        )

        class Loaded(cls, BaseSettings):  # type: ignore[misc, valid-type]
            model_config = SettingsConfigDict(env_prefix="BQ_", env_ignore_empty=True)

            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is given
                file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is given
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                file = () if config is None else (TomlConfigSettingsSource(settings_cls, config),)
                return init_settings, env_settings, *file

        loaded = Loaded(**flags)
        return cls.model_construct(**{name: getattr(loaded, name) for name in cls.model_fields})


def origins_of(setting: str | None) -> frozenset[str]:
    """The origins that `cors_origins` names."""
    return frozenset(each.strip() for each in setting.split(",")) if setting else frozenset()
