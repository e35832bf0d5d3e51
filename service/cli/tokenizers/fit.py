"""`semid fit`: a catalogue → a frozen tokenizer."""

from pathlib import Path

from service.cli.data.embed import TextOptions
from service.cli.terminal.console import bar, errors, output
from service.cli.terminal.options import (
    CATALOGUE,
    VECTORS,
    CatalogueOptions,
    ConfigurationOption,
    DeviceOption,
    QuietOption,
)
from service.settings import argument, from_core, option
from tokenizer.config import FitConfig
from tokenizer.ids.policy import Policy

__all__ = ["FitSettings", "fit"]

QUANTIZER, TRAINING = "Quantizer and network", "Training"


class FitSettings(TextOptions, DeviceOption, ConfigurationOption, CatalogueOptions, QuietOption):
    """The options of `semid fit`."""

    command = "fit"
    after_stop = "the same command resumes from {out}.training"

    items: Path = argument(CATALOGUE)
    out: Path = option("Folder for the tokenizer.")
    vectors: Path | None = option(VECTORS, None)
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

        given = {name: getattr(self, name) for name in OPTIONS if name in type(self).model_fields}
        return fitted_to_size(with_options(FitConfig(), given | self.options))


def fit(settings: FitSettings) -> None:
    """Train a tokenizer on a catalogue and freeze it.

    Texts are embedded once, and a cache keeps their vectors. A tenth of the items is held out to
    measure the reconstruction error. A stopped fit resumes from --out.training.

    Example: semid fit data/beauty/items.parquet --out tokenizers/beauty
    """
    from data_prep.embedding.encoders import load_encoder
    from data_prep.errors import InputError
    from data_prep.storage.durable import recover
    from data_prep.storage.files import check_writable
    from data_prep.storage.record import file_digest
    from service.cli.data.catalogue import template_of, vectors_of_items, vectors_of_texts
    from service.cli.tokenizers.inspect import print_health
    from tokenizer.artifact import FILES
    from tokenizer.options import check_training
    from tokenizer.training.fit import fit as fit_tokenizer
    from tokenizer.training.monitor import CodingQuality

    device = settings.torch_device()
    frame, out = settings.read(settings.items), settings.out
    recover(out)
    if out.exists() and not settings.overwrite:
        raise InputError(
            f"{out} exists, and there may be IDs of that tokenizer; choose another --out, or pass "
            f"--overwrite to replace it"
        )
    check_writable(out, FILES)
    training = settings.training()
    check_training(training)
    if frame.height < training.quantizer.codebook_size:
        errors.print(
            f"warning: {frame.height} items are fewer than the {training.quantizer.codebook_size} "
            f"codewords of a level, so some codewords have no item; with a smaller "
            f"--codebook-size items share prefixes"
        )
    template = template_of(settings.text_fields, frame)
    if settings.vectors is None:
        model = load_encoder(settings.encoder, device)
        matrix = vectors_of_texts(frame, template, model, settings.cache)
    else:
        model = None
        matrix = vectors_of_items(frame, settings.vectors)
    with bar("training", training.warmup_steps + training.steps) as progress:

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
            file_digest(settings.items),
            settings.baseline,
            report,
            settings.policy,
            device,
        )
    output.print(f"{out}: tokenizer {saved.fingerprint[:16]}…")
    print_health(saved)
