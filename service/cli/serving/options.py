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
    after_stop = "IDs that were given are in the database"

    tokenizer: Paths = option(
        "Folder that semid fit wrote. May be given often: requests name one, or mean the default "
        "of the registry, which is the first at the beginning.",
        min_length=1,
    )
    ids: Paths = option("IDs of semid tokenize, taken over as they stand. May be given often.", ())
    catalogue: Path | None = option("Catalogue that the items' titles come from.", None)
    catalog: Path | None = option("--catalogue, as it was spelled before.", None, hidden=True)
    recommender: Paths = option(
        "Folder that semid train wrote, for /v1/recommend. May be given often, one for each "
        "tokenizer.",
        (),
    )
    index_cache: Path | None = option(
        "Folder where the index is set aside for the next start.",
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
        "Where similar items are searched: cpu, cuda, cuda:1 or auto. A GPU needs faiss-gpu, and "
        "memory for each item's decoded vector.",
        "cpu",
    )
    log_format: LogFormat = option("text, or json: one object a line.", "text")
    host: str = option("Address to listen on.", "127.0.0.1", panel=ADDRESS)
    port: int = option("0 takes a free one.", 8000, ge=0, le=65_535, panel=ADDRESS)
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = option(
        "Answer /health and /metrics at this port instead, on the same host.", None, panel=ADDRESS
    )
    keys: Path | None = option(
        "API keys that semid keys add wrote; needed unless --host is of this machine alone. A "
        "change of the file counts at once.",
        None,
        panel=ADDRESS,
    )
    cors_origins: Several = option(
        "Let pages of this origin ask, as https://shop.example. May be given often.",
        (),
        name="--cors-origin",
        panel=ADDRESS,
    )
    allowed_hosts: Several = option(
        "A name, such as semid.example, under which requests may reach the service. Without --keys "
        "only names of this machine are answered, and these. May be given often.",
        (),
        name="--allowed-host",
        panel=ADDRESS,
    )
    root_path: str = option(
        "Path, such as /semid, that a proxy before the service takes off; links have it.",
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        panel=ADDRESS,
    )
    uds: Path | None = option(
        "Listen at a Unix socket of this name instead of --host and --port.", None, panel=ADDRESS
    )
    most_items: MostItems = option("Items of one request.", DEFAULT.most_items, panel=LIMITS)
    most_history: MostHistory = option("Items of one history.", DEFAULT.most_history, panel=LIMITS)
    most_text: MostText = option("Characters of one text.", DEFAULT.most_text, panel=LIMITS)
    most_body: MostBody = option("Bytes of one body.", DEFAULT.most_body, panel=LIMITS)
    queue: int = option(
        "Items that may wait; more are answered 429.", USUAL.queue, ge=1, panel=LOAD
    )
    timeout: float = option(
        "Seconds until tokenizing, or a look-up, is answered 503.",
        USUAL.timeout,
        gt=0,
        le=3600,
        panel=LOAD,
    )
    batch_texts: int = option(
        "Texts encoded at a time, by all cores.", USUAL.texts, ge=1, le=1024, panel=LOAD
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
                raise ValueError(f"{origin} is no origin such as https://shop.example")
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
