"""The settings of each command: command line, then environment, then semid.toml, then defaults."""

import os
import re
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from data_prep.embedding.encoders import DEFAULT_ENCODER
from data_prep.errors import InputError
from data_prep.text import DEFAULT_FIELDS
from service.engine.capacity import Capacity
from service.http.messages.limits import (
    DEFAULT,
    MostBody,
    MostHistory,
    MostItems,
    MostText,
    RequestLimits,
)
from service.http.security.hosts import host_fault
from service.observability.logs import LogFormat
from tokenizer.config import AutoencoderConfig, FitConfig, QuantizerConfig
from tokenizer.ids.policy import Policy
from tokenizer.options import BOUNDS, OPTIONS, fitted_to_size, with_options

__all__ = ["FitSettings", "ServeSettings", "database_url", "resolve"]

S = TypeVar("S", bound=BaseSettings)
TOML = Path("semid.toml")
ORIGIN = re.compile(r"https?://[^/?#\s]+")
_fit, _quantizer, _autoencoder = FitConfig(), QuantizerConfig(), AutoencoderConfig()
_pace = Capacity()


def _bounded(name: str) -> Any:
    least, most = BOUNDS[name]
    return Field(ge=least, le=most)


class _CommandSettings(BaseSettings):
    """Settings with a table of their own in semid.toml and a prefix in the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


class FitSettings(_CommandSettings):
    """What `semid fit` can be told; environment SEMID_FIT_…, table [fit]."""

    model_config = SettingsConfigDict(
        env_prefix="SEMID_FIT_", toml_file=TOML, toml_table_header=("fit",), extra="forbid"
    )

    encoder: str = DEFAULT_ENCODER
    text_fields: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = DEFAULT_FIELDS
    quantizer: str = _quantizer.name
    levels: Annotated[int, _bounded("levels")] = _quantizer.levels
    codebook_size: Annotated[int, _bounded("codebook_size")] = _quantizer.codebook_size
    search_beam: Annotated[int, _bounded("search_beam")] = _quantizer.search_beam
    network: str = _autoencoder.network
    latent: Annotated[int, _bounded("latent")] = _autoencoder.latent
    steps: Annotated[int, _bounded("steps")] = _fit.steps
    warmup_steps: Annotated[int, _bounded("warmup_steps")] = _fit.warmup_steps
    batch_size: Annotated[int, _bounded("batch_size")] = _fit.batch_size
    learning_rate: Annotated[float, _bounded("learning_rate")] = _fit.learning_rate
    patience: Annotated[int, _bounded("patience")] = _fit.patience
    seed: Annotated[int, _bounded("seed")] = _fit.seed
    policy: Policy = "suffix"
    device: str = "cpu"
    options: dict[str, Any] = {}

    @field_validator("text_fields", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _listed(value)

    def training(self) -> FitConfig:
        """Return the configuration of the training.

        Raises:
            InputError: `options` names an unknown field, or a value that it cannot have.
        """
        given = {name: getattr(self, name) for name in OPTIONS if name in type(self).model_fields}
        return fitted_to_size(with_options(FitConfig(), given | self.options))


class _DatabaseSettings(_CommandSettings):
    """What other commands read of the settings of `semid serve`."""

    model_config = SettingsConfigDict(
        env_prefix="SEMID_SERVE_", toml_file=TOML, toml_table_header=("serve",), extra="ignore"
    )

    database: str = "sqlite:///semid.db"


class ServeSettings(_DatabaseSettings):
    """What `semid serve` can be told; environment SEMID_SERVE_…, table [serve]."""

    model_config = SettingsConfigDict(extra="forbid")

    tokenizer: Annotated[tuple[Path, ...], NoDecode, Field(min_length=1)]
    ids: Annotated[tuple[Path, ...], NoDecode] = ()
    catalog: Path | None = None
    recommender: Path | None = None
    index_cache: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    keys: Path | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    uds: Path | None = None
    most_items: MostItems = DEFAULT.most_items
    most_history: MostHistory = DEFAULT.most_history
    most_text: MostText = DEFAULT.most_text
    most_body: MostBody = DEFAULT.most_body
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    log_format: LogFormat = "text"
    queue: Annotated[int, Field(ge=1)] = _pace.queue
    timeout: Annotated[float, Field(gt=0, le=3600)] = _pace.timeout
    batch_texts: Annotated[int, Field(ge=1, le=1024)] = _pace.texts
    batch_wait: Annotated[float, Field(ge=0, le=1)] = _pace.wait
    threads: Annotated[int, Field(ge=0, le=256)] = _pace.threads
    device: str = "cpu"
    index_device: str = "cpu"

    @field_validator("tokenizer", "ids", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        if isinstance(value, str):
            return value.split(os.pathsep)
        return (value,) if isinstance(value, Path) else value

    @field_validator("cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _listed(value)

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is no origin such as https://shop.example")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if (fault := host_fault(host)) is not None:
                raise ValueError(fault)
        return value

    def hosts(self) -> tuple[str, ...] | None:
        """Return the hosts that requests may name beside this machine's; None for any.

        Without keys any page that a browser on this machine shows could otherwise ask.
        """
        return self.allowed_hosts if self.allowed_hosts or self.keys is None else None

    def limits(self) -> RequestLimits:
        """Return how much a request may hold."""
        return RequestLimits(**{name: getattr(self, name) for name in RequestLimits.model_fields})

    def pace(self) -> Capacity:
        """Return how much is taken in at once, and how long it may take."""
        return Capacity(self.queue, self.timeout, self.batch_texts, self.batch_wait, self.threads)


def _listed(value: object) -> object:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def database_url(given: str | None) -> str:
    """Return the registry's URL: the one that is given, or that of `semid serve`'s settings.

    Raises:
        InputError: the settings cannot be read.
    """
    return resolve(_DatabaseSettings, {"database": given}).database


def resolve(settings: type[S], given: dict[str, Any]) -> S:
    """Return settings from the options that were given (not None) and the weaker sources.

    Raises:
        InputError: a value is out of bounds or unknown; the message names it.
    """
    try:
        return settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InputError(
                f"--{name.replace('_', '-')} is needed; --help tells what it takes"
            ) from error
        # What stands under an unknown name may be a secret.
        known = first["type"] != "extra_forbidden"
        given_value = f" (given: {first.get('input')!r})" if known else ""
        raise InputError(
            f"{name.replace('_', '-')}: {first['msg'].removeprefix('Value error, ')}{given_value}"
        ) from error
    except (SettingsError, TOMLDecodeError, AttributeError) as error:
        raise InputError(
            f"{TOML} or a SEMID_ variable of the environment cannot be read: {error}"
        ) from error
