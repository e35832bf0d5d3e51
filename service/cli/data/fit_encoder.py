"""`semid fit-encoder`: a catalogue's texts → an encoder, without a download."""

from pathlib import Path

from data_prep.text import DEFAULT_FIELDS
from service.cli.terminal.console import output, working
from service.cli.terminal.options import (
    CATALOGUE,
    TEXTS,
    CatalogueOptions,
    QuietOption,
    ThreadsOption,
)
from service.settings import Commas, argument, option

__all__ = ["FitEncoderSettings", "fit_encoder"]


class FitEncoderSettings(ThreadsOption, CatalogueOptions, QuietOption):
    """The options of `semid fit-encoder`."""

    command = "fit-encoder"

    items: Path = argument(CATALOGUE)
    out: Path = option("Folder for the encoder; name it with --encoder.")
    terms: str = option("words, or characters: n-grams, for any script.", "words")
    dimension: int = option("Length of the vectors.", 256, ge=2, le=4096)
    buckets: int = option("Terms are hashed into so many.", 2**16, ge=16, le=2**22)
    sample: int = option("Texts of which the SVD is made, at most.", 200_000, ge=2)
    seed: int = option("Of the draw and of the SVD.", 0, ge=0)
    teacher: str = option(
        "Distil a static encoder from this model instead: minilm, or a sentence-transformers "
        "model. It is some dozen times as fast, and loses some neighbours.",
        "",
        name="--from",
    )
    text_fields: Commas = option(
        "Fields that make the text, in order, joined by commas.",
        (),
        default_text=f"{','.join(DEFAULT_FIELDS)}, or the preset's",
        panel=TEXTS,
    )


def fit_encoder(settings: FitEncoderSettings) -> None:
    """Fit an encoder to a catalogue: hashed TF-IDF and truncated SVD.

    For texts that no pretrained model reads, such as anonymised term ids, and for languages for
    which none is installed. `fit`, `embed` and the other commands take the folder as --encoder.

    With --from it makes a table of a model's token vectors instead, weighted by how rare each token
    is in the catalogue, for catalogues of millions of texts.

    Example: semid fit-encoder data/jdsearch/items.parquet --out encoders/jdsearch
    """
    from typing import cast

    from data_prep.embedding.encoder_folder import FILES
    from data_prep.embedding.encoders import SentenceEncoder, load_encoder
    from data_prep.embedding.latent_semantic import (
        LatentSemanticConfig,
        LatentSemanticEncoder,
        Terms,
    )
    from data_prep.embedding.static import StaticEncoder, distil
    from data_prep.errors import InputError
    from data_prep.storage.files import check_writable
    from service.cli.data.catalogue import template_of

    settings.use_threads()
    config = LatentSemanticConfig(
        cast("Terms", settings.terms),
        settings.dimension,
        settings.buckets,
        settings.sample,
        settings.seed,
    )
    if not settings.teacher:
        config.check()
    frame, guess = settings.read_guessed(settings.items, settings.text_fields)
    check_writable(settings.out, FILES)
    template = template_of(settings.text_fields or guess.text_fields, frame)
    with working("fitting the encoder"):
        rendered = (template.render(row) for row in frame.iter_rows(named=True))
        if settings.teacher:
            model = load_encoder(settings.teacher)
            if not isinstance(model, SentenceEncoder):
                raise InputError(f"--from {settings.teacher}: only a Transformer can be distilled")
            encoder: LatentSemanticEncoder | StaticEncoder = distil(
                model.token_vectors(),
                model.tokenizer_json(),
                rendered,
                settings.dimension,
                f"{model.name} {model.revision}",
            )
        else:
            encoder = LatentSemanticEncoder.fit(rendered, config)
    encoder.write(settings.out)
    output.print(
        f"{settings.out}: {encoder.texts:,} texts, vectors of {encoder.dimension} floats, "
        f"revision {encoder.revision[:16]}…"
    )
