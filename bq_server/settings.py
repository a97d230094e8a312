"""Every setting once: its flag, its `BQ_*` variable and its TOML key all come from the fields here."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_ORIGIN = re.compile(r"\*|https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?")
"""An origin as browsers write it, or every one."""

_RATE_LIMIT = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,5})")

Role = Literal["all", "api", "worker"]
"""What a process does of what a server does."""

KiB = 1024
MiB = 1024 * KiB

MOST_SECONDS = 86_400
"""A longer limit is none, and no clock counts to infinity."""


class Settings(BaseModel):
    """Flags override the environment, then the file, then defaults. Raises `pydantic.ValidationError`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    tls_cert: Path | None = Field(
        None, description="Certificate with its chain (PEM), reloaded when it changes; the server speaks only HTTPS."
    )
    tls_key: Path | None = Field(None, description="Key of the certificate (PEM, without a password).")
    data_dir: Path = Field(Path("bq-data"), description="Directory for the facts, the keys and the stream.")
    store_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 14 or newer (postgresql://) that keeps facts and keys, instead of the data directory.",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey 7 or newer (redis://, rediss:// or unix://) instead of the embedded one, or their "
        "sentinels (redis+sentinel://host:port,host:port/name) or a cluster (redis+cluster://host:port,host:port/name).",
    )
    redis_prefix: str = Field(
        "bq", min_length=1, max_length=100, description="Prefix of every key in the stream server."
    )
    durability: Literal["server", "replica"] = Field(
        "server",
        description="When an event is accepted: once the stream server has it, as durable as its own settings make it, "
        "or once a replica of it has it on disk, too (needs --redis-url, version 7.2).",
    )
    role: Role = Field(
        "all",
        description="What this process does: all, or one of several that share --store-url and --redis-url: "
        "api (answers requests) or worker (processes events).",
    )
    dev_key: SecretStr | None = Field(
        None,
        description="A bq_test_ key (32 hex characters after the prefix) with every scope, valid while set.",
    )
    game: Path | None = Field(
        None, description="Game document that is applied to the test environment at the start and whenever it changes."
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/]",
        description="Collector that traces are sent to, by OTLP over HTTP as JSON, such as http://127.0.0.1:4318.",
    )
    http_lane: Literal["on", "off"] = Field(
        "on", description="Whether a lean HTTP/1.1 protocol answers the two hot routes in front of the ASGI server."
    )
    behind_proxy: bool = Field(
        False, description="A proxy in front terminates TLS: don't warn that the server listens without it."
    )
    trusted_proxies: str | None = Field(
        None,
        description="Networks of proxies trusted to report their clients' addresses, such as 10.0.0.0/8,::1.",
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for", description="Header in which trusted proxies report their clients' addresses."
    )
    rate_limit_per_key: str | None = Field(
        None, description="Most requests with one key, as requests/seconds: 1000/60; `keys limit` sets a single key's."
    )
    rate_limit_per_address: str | None = Field(
        None, description="Most requests from one address, as requests/seconds: 100/60; not from this machine's own."
    )
    wrong_keys_per_address: str = Field(
        "30/60", description="Most invalid keys from one address, as keys/seconds, beyond which it gets 429; or off."
    )
    rate_limit_per_participant: str = Field(
        "300/60", description="Most requests with the tokens of one participant, as requests/seconds; or off."
    )
    max_connections: int = Field(
        4096, ge=1, description="Most open connections; fewer if the limit of file descriptors is lower."
    )
    max_connections_per_address: int = Field(
        1024, ge=1, description="Most open connections from one address; of IPv6, from one network of 64 bits."
    )
    max_inflight_bytes: int = Field(
        64 * MiB,
        ge=1 * MiB,
        description="Most bytes of bodies and answers in flight, in total; beyond it 503 overloaded.",
    )
    cors_origins: str | None = Field(
        None,
        description="Origins whose pages may call the API, such as https://shop.example, separated by commas; or *.",
    )
    text_plain_events: bool = Field(
        False, description="Whether events are also read from bodies of the type text/plain, as sendBeacon sends them."
    )
    webhook_addresses: Literal["auto", "public", "any"] = Field(
        "auto",
        description="Addresses that webhooks may call: public, any, or auto (any if the server is bound to loopback).",
    )
    webhook_retry_seconds: float = Field(
        5, gt=0, le=60, description="Seconds before a webhook is retried; each further wait is 4 times as long."
    )
    max_feeds: int = Field(64, ge=1, le=1000, description="Most feeds (GET /api/v1/feed) that may be open.")
    max_feeds_per_key: int = Field(16, ge=1, le=1000, description="Most feeds that may be open with one key.")
    feed_heartbeat_seconds: float = Field(
        15, ge=0.1, le=300, description="Seconds of silence after which a feed sends a comment."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Readable lines, JSON lines, or (auto) readable on a terminal and JSON when piped."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    max_body_bytes: int = Field(1 * MiB, ge=1 * KiB, description="Largest request body, in bytes.")
    max_batch_body_bytes: int = Field(8 * MiB, ge=1 * KiB, description="Largest body of a batch request, in bytes.")
    max_properties_bytes: int = Field(
        64 * KiB, ge=2, description="Largest properties object of one event, in bytes of compact JSON."
    )
    max_nesting: int = Field(32, ge=1, le=100, description="Deepest nesting of objects and arrays in properties.")
    max_event_names: int = Field(
        10_000, ge=1, description="Most event names per environment in the catalogue; events with others are facts too."
    )
    max_event_properties: int = Field(
        100_000, ge=1, description="Most properties per environment in the catalogue, by type, over all event names."
    )
    max_batch_events: int = Field(100, ge=1, le=1000, description="Most events in one batch.")
    idempotency_window_hours: int = Field(
        24,
        ge=24,
        le=87_600,
        description="Hours for which the stream remembers an idempotency key; the facts remember it for ever.",
    )
    queue_limit: int = Field(
        1_000_000, ge=1, description="Most events that may wait in the stream; beyond it 503 stream_full."
    )
    read_timeout_seconds: float = Field(
        10, gt=0, le=MOST_SECONDS, description="Seconds within which a request's head, and then its body, must arrive."
    )
    write_timeout_seconds: float = Field(
        30,
        gt=0,
        le=MOST_SECONDS,
        description="Seconds after which a client that doesn't read its answer is disconnected.",
    )
    stop_with_stdin: bool = Field(
        False,
        description="Stop when standard input is closed, as it is when the program that started the server is gone.",
    )
    shutdown_timeout_seconds: float = Field(
        10, gt=0, le=MOST_SECONDS, description="Seconds that requests in flight have to finish after SIGINT or SIGTERM."
    )

    @field_validator("data_dir", "game", "tls_cert", "tls_key", mode="before")
    @classmethod
    def _names_a_path(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("must name a path; '.' is the working directory")
        return value

    @model_validator(mode="after")
    def _has_both_parts_of_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key must be given together")
        return self

    @model_validator(mode="after")
    def _has_replicas(self) -> Self:
        if self.durability == "replica" and self.redis_url is None:
            raise ValueError("--durability replica needs --redis-url: the embedded stream server has no replica")
        return self

    @model_validator(mode="after")
    def _shares_what_its_role_needs(self) -> Self:
        if self.role == "all":
            return self
        if self.store_url is None or self.redis_url is None:
            raise ValueError(
                f"--role {self.role} needs --store-url and --redis-url: several processes share a PostgreSQL database "
                "and a Redis or Valkey"
            )
        if self.game is not None:
            raise ValueError(f"--game needs --role all: with --role {self.role}, apply it with `bq-server game apply`")
        return self

    @field_validator("store_url")
    @classmethod
    def _is_of_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        for origin in origins_of(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: https:// or http://, a host in lower case, perhaps a port"
                )
        return value

    @field_validator(
        "rate_limit_per_key", "rate_limit_per_address", "wrong_keys_per_address", "rate_limit_per_participant"
    )
    @classmethod
    def _is_a_rate_limit(cls, value: str | None) -> str | None:
        rate_limit_of(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        networks_of(value)
        return value

    @field_validator("dev_key")
    @classmethod
    def _is_a_test_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"bq_test_[0-9a-f]{32}", value.get_secret_value()):
            raise ValueError("must be bq_test_ and 32 hex characters")
        return value

    @classmethod
    def load(cls, flags: dict[str, Any], config: Path | None = None) -> "Settings":
        """The settings of a process: `flags`, then `BQ_*` variables, then the TOML file, then defaults.

        Raises `pydantic.ValidationError` for a wrong value or an unknown TOML key, `FileNotFoundError` and
        `tomllib.TOMLDecodeError` for the file.
        """
        if config is not None and not config.is_file():
            raise FileNotFoundError(f"there is no configuration file {config}")
        from pydantic_settings import (  # takes as long as everything else that a --help needs
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


class RateLimit(NamedTuple):
    """A number of requests in a number of seconds."""

    requests: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}" if self.requests else OFF


OFF = "off"
NO_RATE_LIMIT = RateLimit(0, 1)
"""The limit of a key without one, even if others have one."""


def rate_limit_of(text: str | None) -> RateLimit | None:
    """The limit in a setting; None for none. Raises `ValueError`."""
    if text is None or text == OFF:
        return None
    found = _RATE_LIMIT.fullmatch(text)
    if found is None:
        raise ValueError("must be requests/seconds, such as 1000/60, or off")
    return RateLimit(int(found[1]), int(found[2]))


def networks_of(setting: str | None) -> list[IPv4Network | IPv6Network]:
    """The networks that `trusted_proxies` names. Raises `ValueError`."""
    return [ip_network(each.strip()) for each in setting.split(",")] if setting else []


def origins_of(setting: str | None) -> frozenset[str]:
    """The origins that `cors_origins` names."""
    return frozenset(each.strip() for each in setting.split(",")) if setting else frozenset()
