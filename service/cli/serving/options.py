"""The options of `semid serve`."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from service.cli.terminal.options import CacheOption, CatalogueOptions, DeviceOption
from service.engine.capacity import Capacity
from service.http.messages.limits import (
    DEFAULT,
    MostBody,
    MostHistory,
    MostItems,
    MostText,
    RequestLimits,
)
from service.http.security.host_names import host_fault
from service.observability.logs import LogFormat
from service.settings import Paths, RegistrySettings, Several, option

__all__ = ["ServeSettings"]

ORIGIN = re.compile(r"https?://[^/?#\s]+")
USUAL = Capacity()
ADDRESS, LIMITS, LOAD = "Address and access", "Limits of a request", "Capacity"


class ServeSettings(RegistrySettings, DeviceOption, CacheOption, CatalogueOptions):
    """The options of `semid serve`."""

    command = "serve"
    after_stop = "all IDs given so far are in the database"

    tokenizer: Paths = option(
        "Folder that semid fit wrote. May be repeated: a request names one of them, or uses the "
        "registry's default, which is the first one in a new registry.",
        min_length=1,
    )
    ids: Paths = option(
        "IDs from semid tokenize; the registry adds them unchanged. May be repeated.", ()
    )
    catalogue: Path | None = option("Catalogue with the items' titles.", None)
    catalog: Path | None = option("Earlier spelling of --catalogue.", None, hidden=True)
    recommender: Paths = option(
        "Folder that semid train wrote, for /v1/recommend. May be repeated, one for each "
        "tokenizer.",
        (),
    )
    search: Path | None = option("Folder that semid train-search wrote, for /v1/search.", None)
    index_cache: Path | None = option(
        "Folder where the index is saved for the next start.",
        None,
        default_text="beside a SQLite file",
    )
    vectors: Paths = option(
        "Vectors of --ids (parquet: item_id, vector), so that their nearest items are exact. "
        "Without, those of the texts of --catalogue that the cache has. May be given often.",
        (),
    )
    keep_vectors: int = option(
        "Items up to which vectors are kept, for exact nearest items; 0 answers from codes alone.",
        1_000_000,
        ge=0,
    )
    index_device: str = option(
        "Device that searches similar items: cpu, cuda, cuda:1 or auto. A GPU needs faiss-gpu, and "
        "memory for each item's decoded vector.",
        "cpu",
    )
    log_format: LogFormat = option(
        "Format of the log: text, or json with one object a line.", "text"
    )
    host: str = option("Address to listen on.", "127.0.0.1", panel=ADDRESS)
    port: int = option(
        "Port to listen on; 0 takes a free one.", 8000, ge=0, le=65_535, panel=ADDRESS
    )
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = option(
        "Port for /health and /metrics instead of --port, on the same host.", None, panel=ADDRESS
    )
    keys: Path | None = option(
        "API keys that semid keys add wrote; required unless --host is this machine alone. "
        "Changes of the file take effect at once.",
        None,
        panel=ADDRESS,
    )
    cors_origins: Several = option(
        "Let web pages of this origin, such as https://shop.example, call the service. May be "
        "repeated.",
        (),
        name="--cors-origin",
        panel=ADDRESS,
    )
    allowed_hosts: Several = option(
        "Host name, such as semid.example, under which the service answers. Without --keys it "
        "answers only under names of this machine and these. May be repeated.",
        (),
        name="--allowed-host",
        panel=ADDRESS,
    )
    root_path: str = option(
        "Path prefix, such as /semid, that a proxy removes from requests; links keep it.",
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        panel=ADDRESS,
    )
    uds: Path | None = option(
        "Listen on this Unix socket instead of --host and --port.", None, panel=ADDRESS
    )
    most_items: MostItems = option(
        "Largest number of items in a request.", DEFAULT.most_items, panel=LIMITS
    )
    most_history: MostHistory = option(
        "Largest number of items in a history.", DEFAULT.most_history, panel=LIMITS
    )
    most_text: MostText = option(
        "Largest number of characters in a text.", DEFAULT.most_text, panel=LIMITS
    )
    most_body: MostBody = option(
        "Largest number of bytes in a body.", DEFAULT.most_body, panel=LIMITS
    )
    queue: int = option(
        "Items that may wait; requests beyond them get 429.", USUAL.queue, ge=1, panel=LOAD
    )
    timeout: float = option(
        "Seconds until a request without an answer gets 503.",
        USUAL.timeout,
        gt=0,
        le=3600,
        panel=LOAD,
    )
    batch_texts: int = option(
        "Texts that all cores together encode at a time.", USUAL.texts, ge=1, le=1024, panel=LOAD
    )
    batch_wait: float = option(
        "Seconds that a batch waits for more requests.", USUAL.wait, ge=0, le=1, panel=LOAD
    )
    threads: int = option(
        "Threads that encode texts, each on one core.",
        USUAL.threads,
        ge=0,
        le=256,
        default_text="the cores that the process may use",
        panel=LOAD,
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is not an origin such as https://shop.example")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if (fault := host_fault(host)) is not None:
                raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        if self.catalogue is None:
            self.catalogue = self.catalog
        return self

    def hosts(self) -> tuple[str, ...] | None:
        """Return the hosts that a request may name in addition to this machine's; None for any.

        Without keys the check is needed: any web page in a browser on this machine could send
        requests.
        """
        return self.allowed_hosts if self.allowed_hosts or self.keys is None else None

    def limits(self) -> RequestLimits:
        """Return the size limits of a request."""
        return RequestLimits(**{name: getattr(self, name) for name in RequestLimits.model_fields})

    def capacity(self) -> Capacity:
        """Return the limits of the service's load: queue, time limit, batches and threads."""
        return Capacity(self.queue, self.timeout, self.batch_texts, self.batch_wait, self.threads)
