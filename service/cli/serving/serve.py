"""`semid serve`: the HTTP service."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from data_prep.errors import InputError
from service.cli.serving.options import ServeSettings
from service.cli.serving.vectors import take_vectors
from service.cli.terminal.console import bar, errors

if TYPE_CHECKING:
    import polars as pl

    from recsys.search.searcher import Searcher
    from service.engine.catalogue import Catalogue
    from service.registry import Database, NewItem, Registry
    from tokenizer.pipeline import Pipeline

__all__ = ["listening", "run", "serve"]

CHUNK = 5000


def serve(settings: ServeSettings) -> None:
    """Serve the HTTP API, with a web page at / and the API's description at /docs.

    New items get their IDs on arrival, and the database keeps these IDs for ever.

    Example: semid serve --tokenizer tokenizers/beauty --ids beauty-ids.parquet --catalogue
    data/beauty/items.parquet
    """
    from tokenizer.artifact import load

    listener = listening(settings)
    titles = None
    if settings.catalogue is not None:
        titles = settings.read(settings.catalogue, load(settings.tokenizer[0]).config)
    run(settings, titles, listener)


def run(
    settings: ServeSettings,
    titles: "pl.DataFrame | None",
    listener: socket.socket,
    opened: Callable[[str], object] = lambda address: None,
) -> None:
    """Open tokenizer and registry, take over IDs and titles, and answer until stopped.

    Args:
        listener: as `listening` returns it; closed at the end.
        opened: called with the service's address once it answers.

    Raises:
        InputError: one of them cannot be used; the database is then unchanged.
    """
    from recsys.recommender import Recommender
    from service.engine.browsing.item_fields import ItemFields
    from service.http.app import create_app, create_health_app
    from service.http.security.guard import Access
    from service.http.security.keys import KeyRing
    from service.http.server import answer_until_stopped
    from service.observability.logs import set_up_logs
    from service.registry import open_database
    from service.registry.tokenizers import enrol_recommenders
    from tokenizer.index.semantic_index import faiss_build, resolve_index_device
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline

    set_up_logs(settings.log_format)
    with ExitStack() as stack:
        stack.enter_context(listener)
        if settings.uds is not None:
            stack.callback(settings.uds.unlink, missing_ok=True)
        side = None
        if settings.metrics_port is not None:
            # No key is needed here: metrics say nothing about items.
            side = _listening(settings.host, settings.metrics_port, "--metrics-port", guarded=True)
            stack.enter_context(side)
        keys = None if settings.keys is None else KeyRing(settings.keys)
        access = Access(keys, settings.limits(), settings.cors_origins, settings.hosts())
        device = settings.torch_device()
        index_device = resolve_index_device(settings.index_device)
        loaded = [Pipeline.load(folder, device) for folder in settings.tokenizer]
        pipelines = list({one.fingerprint: one for one in loaded}.values())
        tables = [read_ids(path, _owner(path, pipelines)) for path in settings.ids]
        recommenders = [Recommender.load(folder) for folder in settings.recommender]
        for each in recommenders:
            if each.tokenizer not in [one.fingerprint for one in pipelines]:
                each.check_tokenizer(pipelines[0].fingerprint)
        database = stack.enter_context(open_database(settings.database))
        with database.faults_named():
            catalogues = _opened(
                pipelines, tables, titles, database, settings.index_cache, index_device,
                settings.keep_vectors,
            )  # fmt: skip
            take_vectors(
                catalogues, settings.vectors, titles, settings.keep_vectors, settings.cache
            )
            indexed = sum(catalogue.follow() for catalogue in catalogues)
            app = create_app(
                catalogues[0],
                access,
                settings.capacity(),
                catalogues[1:],
                health_elsewhere=side is not None,
                recommenders=recommenders,
                searcher=_searcher(settings.search),
                fields=None if titles is None else ItemFields(titles),
            )
            enrol_recommenders(
                database, {each.tokenizer: each.fingerprint for each in recommenders}
            )
        told = structlog.get_logger("semid").info if settings.log_format == "json" else errors.print
        address = _address(listener)
        names = ", ".join(f"{one.pipeline.fingerprint[:16]}…" for one in catalogues)
        told(f"{faiss_build()}, {indexed:,} items, tokenizer {names}")
        health = None
        if side is not None:
            health = (create_health_app(app, settings.hosts()), side)
            told(f"health and metrics at {_address(side)}")
        answer_until_stopped(
            app,
            listener,
            partial(_answers, told, address, opened),
            app.state.tokenizers.stop,
            settings.timeout,
            health,
            settings.root_path,
        )


def _answers(told: Callable[[str], object], address: str, opened: Callable[[str], object]) -> None:
    told(f"semid answers at {address}")
    opened(address)


def _searcher(folder: Path | None) -> "Searcher | None":
    from recsys.search.searcher import Searcher

    return None if folder is None else Searcher.load(folder)


def listening(settings: ServeSettings) -> socket.socket:
    """Open the port first, so that a used port ends the command before any work.

    Raises:
        InputError: the address cannot be used, or other machines can reach it and no keys are
            given.
    """
    if settings.uds is not None:
        from service.http.unix_socket import unix_listener

        return unix_listener(settings.uds)
    guarded = settings.keys is not None
    return _listening(settings.host, settings.port, "--port", guarded=guarded)


def _listening(host: str, port: int, option: str, *, guarded: bool) -> socket.socket:
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host}: {error}; give an address of this machine") from error
    if not guarded and not ip_address(place[0]).is_loopback:
        listener.close()
        raise InputError(
            f"--host {host} can be reached from other machines, and no API keys are set: make one "
            f"(semid keys add NAME --scope read --scope write --file keys.json) and give "
            f"--keys keys.json, or listen on 127.0.0.1"
        )
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise InputError(
            f"port {port} on {host} cannot be used: {error.strerror}; stop what uses it or give "
            f"another {option} (0 takes a free one)"
        ) from error
    return listener


def _owner(path: Path, pipelines: "Sequence[Pipeline]") -> "Pipeline":
    """Return the tokenizer of a table of IDs; the first tokenizer if none fits."""
    import polars as pl

    from data_prep.readers.catalogue import read_table

    table = read_table(path)
    named = table["tokenizer"].cast(pl.String).head(1) if "tokenizer" in table.columns else ()
    return next((one for one in pipelines if one.fingerprint in named), pipelines[0])


def _opened(
    pipelines: "Sequence[Pipeline]",
    tables: "Sequence[pl.DataFrame]",
    titles: "pl.DataFrame | None",
    database: "Database",
    index_cache: Path | None,
    index_device: str,
    keep_vectors: int,
) -> "list[Catalogue]":
    """Return one catalogue for each tokenizer, the default first, with IDs and titles imported."""
    from service.engine.catalogue import Catalogue
    from service.registry import Registry
    from service.registry.tokenizers import default_tokenizer

    default = default_tokenizer(database)
    if default is not None and default.fingerprint not in {one.fingerprint for one in pipelines}:
        raise InputError(
            f"database {database.name}: the default tokenizer is {default.fingerprint}, which is "
            f"not served; add --tokenizer for it, or give another --database"
        )
    catalogues = []
    for pipeline in pipelines:
        registry = Registry(database, pipeline.fingerprint, pipeline.levels)
        for table in tables:
            if table["tokenizer"].head(1).to_list() == [pipeline.fingerprint]:
                _take_over(table, registry)
        if titles is not None:
            _take_titles(titles, registry)
        file = database.beside(f"index-{pipeline.fingerprint[:16]}", index_cache)
        catalogues.append(Catalogue(pipeline, registry, file, index_device, keep_vectors))
    first = default.fingerprint if default is not None else pipelines[0].fingerprint
    return sorted(catalogues, key=lambda one: one.pipeline.fingerprint != first)


def _address(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _take_over(table: "pl.DataFrame", registry: "Registry") -> None:
    with bar("adding IDs", table.height) as progress:
        registry.take_over(_new_items(table), progress)


def _new_items(table: "pl.DataFrame") -> Iterator[list["NewItem"]]:
    from service.registry import NewItem

    for chunk in table.iter_slices(CHUNK):
        rows: Iterator[dict[str, Any]] = chunk.iter_rows(named=True)
        yield [
            NewItem(row["item_id"], tuple(row["codes"]), row["distortion"], suffix=row["suffix"])
            for row in rows
        ]


def _take_titles(items: "pl.DataFrame", registry: "Registry") -> None:
    titled = items.select("item_id", "title").drop_nulls()
    with bar("adding titles", titled.height) as progress:
        registry.set_titles((chunk.rows() for chunk in titled.iter_slices(CHUNK)), progress)
