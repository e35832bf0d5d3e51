"""`semid demo`: all steps from a generated catalogue to a running service."""

import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.serving.options import ServeSettings
from service.cli.terminal.console import bar, output
from service.cli.terminal.options import DeviceOption, EncoderOption, QuietOption
from service.settings import option, resolve
from tokenizer.config import FitConfig

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DemoSettings", "demo"]

HOST, PORT = (ServeSettings.model_fields[name].default for name in ("host", "port"))


class DemoSettings(EncoderOption, DeviceOption, QuietOption):
    """The options of `semid demo`."""

    command = "demo"
    after_stop = "the same command reuses the files in {out}"

    out: Path = option("Folder for everything that the demo makes.", Path("demo"))
    items: int = option("Number of items in the catalogue.", 4000, ge=300, le=17_000)
    shoppers: int = option("Number of shoppers.", 2500, ge=1)
    steps: int = option("Training steps.", 600, ge=1)
    seed: int = option("Seed of every random choice.", 0, ge=0)
    serve: bool = option("Start the service at the end.", True)
    browser: bool = option("Open the page in a browser, if there is a screen.", True)
    host: str = option("Address to listen on.", HOST)
    port: int = option("Port to listen on; 0 takes a free one.", PORT, ge=0, le=65_535)


def demo(settings: DemoSettings) -> None:
    """Generate a catalogue, fit a tokenizer, make IDs, train a recommender, and serve them.

    Files in --out from an earlier run are used again.
    """
    from data_prep.demo import demo_interactions, demo_items
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.serving.serve import listening, run

    out, device = settings.out, settings.torch_device()
    check_writable(out / "items.parquet")
    files = {"tokenizer": (out / "tokenizer",), "ids": (out / "ids.parquet",)}
    address = {"host": settings.host, "port": settings.port, "device": device}
    serving = resolve(ServeSettings, files | address)
    listener = listening(serving) if settings.serve else None
    catalogue = demo_items(settings.items, settings.seed)
    interactions = demo_interactions(catalogue, settings.shoppers, settings.seed)
    for name, made in (("items", catalogue), ("interactions", interactions)):
        with written_aside(out / f"{name}.parquet") as path:
            made.write_parquet(path)
    output.print(
        f"{out}: {settings.items:,} items, {settings.shoppers:,} shoppers, "
        f"{interactions.height:,} purchases"
    )
    training = FitConfig(steps=settings.steps, seed=settings.seed)
    _fit(catalogue, out, settings.encoder, training, device)
    fingerprint = _tokenize(catalogue, out, device)
    recommender = _train(out, device)
    if listener is not None:
        database = f"sqlite:///{out / f'semid-{fingerprint[:12]}.db'}"
        recommenders = () if recommender is None else (recommender,)
        more = {"database": database, "recommender": recommenders, "cache": out / "cache"}
        serving = serving.model_copy(update=more)
        show = webbrowser.open if settings.browser and _has_screen() else lambda address: None
        run(serving, catalogue, listener, show)


def _fit(
    items: "pl.DataFrame", out: Path, encoder_name: str, training: FitConfig, device: str
) -> None:
    from data_prep.errors import InputError
    from data_prep.storage.record import file_digest
    from data_prep.text import TextTemplate
    from service.cli.data.catalogue import encoder_of, vectors_of_texts
    from service.cli.tokenizers.inspect import print_health
    from tokenizer.artifact import EncoderReference, load
    from tokenizer.training.fit import fit

    folder = out / "tokenizer"
    template = TextTemplate()
    texts = template.render_all(items.iter_rows(named=True))
    encoder = encoder_of(encoder_name, texts, device)
    digest = file_digest(out / "items.parquet")
    found = None
    with suppress(InputError):  # a tokenizer of another version is fitted again
        found = load(folder)
    if found is not None:
        made_of = (
            found.metrics["record"].get("data_fingerprint"),
            found.config.training,
            found.config.encoder,
            found.metrics.get("trained_on", {}).get("device", "cpu"),
        )
        if made_of == (digest, training, EncoderReference.of(encoder), device):
            output.print(f"{folder}: used again")
            return
    vectors = vectors_of_texts(texts, encoder, out / "cache")
    with bar("training", training.total_steps) as progress:
        saved = fit(
            folder, vectors, training, template, encoder, digest,
            progress=lambda step, measured: progress(1), device=device,
        )  # fmt: skip
    print_health(saved)


def _tokenize(items: "pl.DataFrame", out: Path, device: str) -> str:
    """Write the IDs and return the tokenizer's fingerprint."""
    from data_prep.storage.files import written_aside
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.pipeline import Pipeline

    pipeline = Pipeline.load(out / "tokenizer", device)
    with open_cache(out / "cache") as cache, bar("tokenizing", items.height) as progress:
        ids = tokenize_catalogue(items, pipeline, cache=cache, progress=progress)
    with written_aside(out / "ids.parquet") as path:
        ids.write_parquet(path)
    output.print(f"{out / 'ids.parquet'}: {ids.height:,} IDs, as {ids['semantic_id'][0]}")
    return pipeline.fingerprint


def _train(out: Path, device: str) -> Path | None:
    """Train a small recommender and return its folder; None if there are too few shoppers."""
    import polars as pl
    import torch

    from data_prep.errors import InputError
    from recsys.data.preparation import prepare_dataset
    from recsys.presets import preset_named
    from recsys.recommender import Recommender, save_recommender
    from recsys.shapes import build_model
    from recsys.training.loop import train
    from tokenizer.pipeline import Pipeline

    folder = out / "recommender"
    pipeline = Pipeline.load(out / "tokenizer")
    events, items, ids = (
        pl.read_parquet(out / f"{name}.parquet") for name in ("interactions", "items", "ids")
    )
    model = preset_named("smoke").model("dual-encoder-prefixes-transitions")
    try:
        dataset = prepare_dataset(
            events,
            items,
            ids,
            codebooks=pipeline.codebooks,
            codebook_size=pipeline.codebook_size,
        )
        dataset.training_windows(1)
    except InputError as error:
        output.print(f"no recommender: {error}")
        return None
    with suppress(InputError):
        if Recommender.load(folder).metrics.get("data") == dataset.fingerprint:
            output.print(f"{folder}: used again")
            return folder
    with bar("training a recommender", 0) as progress:
        result = train(
            lambda: build_model(model.shape, dataset).to(torch.device(device)),
            dataset,
            model.training,
            progress=lambda step, total, measured: progress.goes_to(step, total),
        )
    found = result.model.evaluate(dataset, "test").metrics("without_history")
    metrics = {"data": dataset.fingerprint, "test": found}
    save_recommender(folder, model.shape, result.model, dataset, metrics)
    output.print(f"{folder}: the next item is among the first ten for {found['recall@10']:.0%}")
    return folder


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
