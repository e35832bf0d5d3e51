"""`semid fit`: a catalogue → a frozen tokenizer."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.data.embed import TextOptions
from service.cli.data.parts import ANY_ITEMS
from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    VECTORS,
    CatalogueOptions,
    ConfigurationOption,
    DeviceOption,
    QuietOption,
    tell_guess,
)
from service.settings import argument, from_core, option
from tokenizer.config import FitConfig
from tokenizer.ids.policy import Policy

if TYPE_CHECKING:
    from service.cli.data.training_items import TrainingItems
    from tokenizer.artifact import TokenizerArtifact

__all__ = ["FitSettings", "fit"]

QUANTIZER, TRAINING = "Quantizer and network", "Training"


class FitSettings(TextOptions, DeviceOption, ConfigurationOption, CatalogueOptions, QuietOption):
    """The options of `semid fit`."""

    command = "fit"
    after_stop = "the same command resumes from {out}.training"

    items: str = argument(ANY_ITEMS)
    out: Path = option("Folder for the tokenizer.")
    vectors: str | None = option(f"{VECTORS} Also a folder, a pattern or a URL.", None)
    sample: int = option(
        "Items that train; more are sampled by the seed, so that time and memory do not grow with "
        "the catalogue.",
        200_000,
        ge=2,
        panel=TRAINING,
    )
    measure_all: bool = option(
        "After a fit on a sample, also code every item and measure the levels' use over all.",
        False,
        panel=TRAINING,
    )
    name: str = option(
        "What people call the tokenizer; it is no part of its fingerprint.",
        "",
        default_text="the folder's name",
        max_length=100,
    )
    overwrite: bool = option("Replace the tokenizer at --out.", False)
    policy: Policy = option(
        "How items with the same codes get distinct IDs: suffix numbers them, reassign gives the "
        "later ones the nearest free codes.",
        "suffix",
    )
    baseline: bool = option("Also measure FAISS's residual quantizer on the same vectors.", True)
    quantizer: str = from_core(
        "quantizer", "The variant; semid quantizers lists them.", panel=QUANTIZER
    )
    levels: int = from_core("levels", "Levels: the number of codes of an item.", panel=QUANTIZER)
    codebook_size: int = from_core("codebook_size", "Codewords in each level.", panel=QUANTIZER)
    search_beam: int = from_core(
        "search_beam",
        "Paths that the search keeps when it codes an item: more lose less and take longer; 1 is "
        "the greedy search.",
        panel=QUANTIZER,
    )
    network: str = from_core(
        "network",
        "Network around the levels: mlp gives the most unique codes, identity loses least, linear "
        "is between them.",
        panel=QUANTIZER,
    )
    latent: int = from_core("latent", "Width of the latent that is quantized.", panel=QUANTIZER)
    steps: int = from_core("steps", "Largest number of training steps.", panel=TRAINING)
    warmup_steps: int = from_core(
        "warmup_steps", "Steps before k-means starts the codebooks.", panel=TRAINING
    )
    batch_size: int = from_core("batch_size", "Items in one step.", panel=TRAINING)
    learning_rate: float = from_core("learning_rate", "AdamW's peak learning rate.", panel=TRAINING)
    patience: int = from_core(
        "patience", "Measurements without improvement before training stops early.", panel=TRAINING
    )
    seed: int = from_core("seed", "Seed of every random choice.", panel=TRAINING)

    def training(self) -> FitConfig:
        """Return the configuration of the fit.

        Raises:
            InputError: `options` has an unknown field, or a value that the field cannot have.
        """
        from tokenizer.options import OPTIONS, fitted_to_size, with_options

        given = {name: getattr(self, name) for name in OPTIONS if name in self.model_fields_set}
        return fitted_to_size(with_options(FitConfig(), given | self.options))


def fit(settings: FitSettings) -> None:
    """Train a tokenizer on a catalogue and freeze it.

    Texts are embedded once, and a cache keeps their vectors. A tenth of the items is held out to
    measure the reconstruction error. A catalogue with more items than --sample is read in one pass,
    and a sample of it trains and is measured. A stopped fit resumes from --out.training.

    Example: semid fit data/beauty/items.parquet --out tokenizers/beauty
    """
    from data_prep.profile.texts import profile_texts
    from data_prep.profile.variants import variant_columns
    from service.cli.data.catalogue import (
        encoder_of,
        template_of,
        vectors_of_texts,
    )
    from service.cli.data.training_items import own_vectors, sampled_items, training_items
    from service.cli.data.verdicts import verdicts_on_fields, warn
    from tokenizer.advice.catalogue_verdicts import shape_verdicts, text_verdicts
    from tokenizer.options import check_training
    from tokenizer.training.fit import fit as fit_tokenizer
    from tokenizer.training.monitor import CodingQuality

    device = settings.torch_device()
    out = _checked_out(settings)
    training = settings.training()
    check_training(training)
    chosen = training_items(settings, settings.items, settings.sample, training.seed)
    file = chosen.file
    guess = settings.guess(file)
    tell_guess(guess, settings.column)
    fields = settings.text_fields or guess.text_fields
    every = settings.items_of(file, guess, fields)
    items = sampled_items(every, settings.sample, training.seed)
    total = every.height if file.frame.height == chosen.total else chosen.total
    if items.height < total:
        output.print(f"training on {items.height:,} of {total:,} items (--sample)")
    template = template_of(fields, items)
    shape = shape_verdicts(total, training.quantizer.codebook_size)
    if settings.vectors is None:
        texts = template.render_all(items.iter_rows(named=True))
        model = encoder_of(settings.encoder, texts, device, settings.model_settings())
        profile = profile_texts(texts, model)
        warn(verdicts_on_fields(file, guess, fields))
        variants = variant_columns(items, texts, fields)
        warn([*text_verdicts(profile, items.height, model.name, variants), *shape])
        matrix = vectors_of_texts(texts, model, settings.cache)
    else:
        model = None
        warn(shape)
        matrix = own_vectors(items, settings.vectors)
    with bar("training", training.total_steps) as progress:

        def report(_: int, measured: CodingQuality | None) -> None:
            progress(1)
            if measured is not None:
                progress.note(f"validation error {measured.validation_error:.3f}")

        saved = fit_tokenizer(
            out,
            matrix,
            training,
            template,
            model,
            chosen.digest,
            settings.baseline,
            report,
            settings.policy,
            device,
            guess.mapping,
            settings.name,
            total,
        )
    if settings.measure_all:
        mapped = replace(chosen, mapping=guess.mapping)
        saved = _measured_over_all(settings, saved, mapped, device)
    _tell(saved, out)


def _tell(saved: "TokenizerArtifact", out: Path) -> None:
    """Print how the training ended, and the tokenizer's figures."""
    from service.cli.tokenizers.inspect import print_health
    from tokenizer.advice.tokenizer_verdicts import told_end

    if (end := told_end(saved.metrics, saved.config.training.total_steps)) is not None:
        output.print(end)
    output.print(f"{out}: tokenizer {saved.name}, {saved.fingerprint[:16]}…")
    print_health(saved)


def _checked_out(settings: FitSettings) -> Path:
    from data_prep.errors import InputError
    from data_prep.storage.durable import recover
    from data_prep.storage.files import check_writable
    from tokenizer.artifact import FILES

    out = settings.out
    recover(out)
    if out.exists() and not settings.overwrite:
        raise InputError(
            f"{out} exists, and there may be IDs of that tokenizer; choose another --out, or pass "
            f"--overwrite to replace it"
        )
    check_writable(out, FILES)
    return out


def _measured_over_all(
    settings: FitSettings, saved: "TokenizerArtifact", chosen: "TrainingItems", device: str
) -> "TokenizerArtifact":
    """Add to the tokenizer's metrics how it codes all items; its fingerprint stays."""
    from data_prep.embedding.embed import default_cache_folder
    from data_prep.errors import InputError
    from data_prep.parts.engines import engine
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts
    from service.cli.data.parts import VECTOR_ROWS
    from tokenizer import artifact
    from tokenizer.config import CATALOGUE_BATCH
    from tokenizer.offline.coding_worker import CoderOptions
    from tokenizer.offline.whole_health import whole_health
    from tokenizer.pipeline import Pipeline

    if chosen.parts is None:
        raise InputError(
            f"{settings.out} is fitted; --measure-all reads parquet files in parts, and "
            f"{settings.items} is none"
        )
    vectors = None if settings.vectors is None else Parts.of(settings.vectors)
    catalogue = ItemParts(chosen.parts, vectors, chosen.mapping, texts=vectors is None)
    catalogue.check_same_items()
    cache = None if vectors else settings.cache or default_cache_folder()
    options = CoderOptions(catalogue, settings.out, device, cache, CATALOGUE_BATCH)
    pipeline = Pipeline.load(settings.out, device)
    with bar("measuring", chosen.total) as progress:
        found = whole_health(options, pipeline, engine("local", 0, device), VECTOR_ROWS, progress)
    measured = replace(saved, metrics={**saved.metrics, "catalogue": found})
    artifact.write(settings.out, measured)
    return measured
