"""`semid fit`: a catalogue → a frozen tokenizer."""

from pathlib import Path
from typing import Annotated

import typer

from data_prep.embedding.encoders import DEFAULT_ENCODER
from data_prep.text import DEFAULT_FIELDS
from service.cli.terminal.console import bar, errors, output
from service.cli.terminal.options import (
    CacheOption,
    CategorySeparatorOption,
    ColumnOption,
    DeviceSetting,
    SetOption,
    column_map,
    option_map,
)
from tokenizer.config import AutoencoderConfig, FitConfig, QuantizerConfig

__all__ = ["fit"]

_training, _stack, _network = FitConfig(), QuantizerConfig(), AutoencoderConfig()


def fit(
    items: Annotated[Path, typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)")],
    out: Annotated[Path, typer.Option(help="Folder for the tokenizer.")],
    vectors: Annotated[
        Path | None,
        typer.Option(help="Your own vectors (parquet: item_id, vector) instead of texts."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="minilm, hashing, or a sentence-transformers model.", show_default=DEFAULT_ENCODER
        ),
    ] = None,
    text_fields: Annotated[
        str | None,
        typer.Option(
            help="Fields that make the text, in order.",
            show_default=",".join(DEFAULT_FIELDS),
        ),
    ] = None,
    quantizer: Annotated[
        str | None, typer.Option(help="The variant.", show_default=_stack.name)
    ] = None,
    levels: Annotated[
        int | None, typer.Option(help="Codes of an item.", show_default=str(_stack.levels))
    ] = None,
    codebook_size: Annotated[
        int | None,
        typer.Option(help="Codewords of a level.", show_default=str(_stack.codebook_size)),
    ] = None,
    search_beam: Annotated[
        int | None,
        typer.Option(
            help="Paths kept through the levels when an item is coded: more lose less and take "
            "longer; 1 is the greedy search.",
            show_default=str(_stack.search_beam),
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Around the levels: mlp keeps most items apart, identity loses least, linear "
            "stands between.",
            show_default=_network.network,
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(help="Width that is quantized.", show_default=str(_network.latent)),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Most training steps.", show_default=str(_training.steps))
    ] = None,
    warmup_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps before k-means starts the codebooks.",
            show_default=str(_training.warmup_steps),
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Items a step.", show_default=str(_training.batch_size))
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak of AdamW.", show_default=str(_training.learning_rate)),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Measurements without gain before an early stop.",
            show_default=str(_training.patience),
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of every random choice.", show_default=str(_training.seed))
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Items with the same codes: suffix counts them, reassign gives the later ones "
            "the next-nearest free codes.",
            show_default="suffix",
        ),
    ] = None,
    device: DeviceSetting = None,
    options: SetOption = None,
    baseline: Annotated[
        bool, typer.Option(help="Measure FAISS's residual quantizer on the same vectors.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a tokenizer that stands at --out.")
    ] = False,
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Train a tokenizer on a catalogue and freeze it.

    Texts are embedded once and kept in a cache. A tenth of the items is held out to measure the
    reconstruction error. A fit that was stopped goes on where it was, from --out.training. Options
    may also stand in the table "fit" of semid.toml or in the environment as SEMID_FIT_…

    Example: semid fit data/beauty/items.parquet --out tokenizers/beauty
    """
    from service.settings import FitSettings, resolve

    settings = resolve(
        FitSettings,
        {
            "encoder": encoder,
            "text_fields": text_fields,
            "quantizer": quantizer,
            "levels": levels,
            "codebook_size": codebook_size,
            "search_beam": search_beam,
            "network": network,
            "latent": latent,
            "steps": steps,
            "warmup_steps": warmup_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "patience": patience,
            "seed": seed,
            "policy": policy,
            "device": device,
            "options": option_map(options) or None,
        },
    )

    from data_prep.embedding.devices import resolve_device
    from data_prep.embedding.encoders import load_encoder
    from data_prep.errors import InputError
    from data_prep.readers.catalogue import read_items
    from data_prep.storage.durable import recover
    from data_prep.storage.files import check_writable
    from data_prep.storage.record import file_digest
    from service.cli.data.catalogue import template_of, vectors_of_items, vectors_of_texts
    from service.cli.tokenizers.inspect import print_health
    from tokenizer.artifact import FILES
    from tokenizer.options import check_training
    from tokenizer.training.fit import fit as fit_tokenizer
    from tokenizer.training.monitor import CodingQuality

    device = resolve_device(settings.device)
    frame = read_items(items, column_map(column), category_separator)
    recover(out)
    if out.exists() and not overwrite:
        raise InputError(
            f"{out} exists; IDs may stand on that tokenizer; choose another --out, or pass "
            f"--overwrite to replace it"
        )
    check_writable(out, FILES)
    training = settings.training()
    check_training(training)
    if frame.height < training.quantizer.codebook_size:
        errors.print(
            f"warning: {frame.height} items are fewer than the {training.quantizer.codebook_size} "
            f"codewords of a level, some of which no item can have; a smaller --codebook-size "
            f"gives prefixes that items share"
        )
    template = template_of(settings.text_fields, frame)
    if vectors is None:
        model = load_encoder(settings.encoder, device)
        matrix = vectors_of_texts(frame, template, model, cache)
    else:
        model = None
        matrix = vectors_of_items(frame, vectors)
    with bar("training", training.warmup_steps + training.steps) as progress:

        def report(_: int, measured: CodingQuality | None) -> None:
            progress(1)
            if measured is not None:
                progress.note(f"held-out error {measured.held_out_error:.3f}")

        saved = fit_tokenizer(
            out,
            matrix,
            training,
            template,
            model,
            file_digest(items),
            baseline,
            report,
            settings.policy,
            device,
        )
    output.print(f"{out}: tokenizer {saved.fingerprint[:16]}…")
    print_health(saved)
