"""`semid images`: the vision testbed, where quantizers learn in an image autoencoder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from service.cli.terminal.command import add_command
from service.cli.terminal.console import bar, errors, output
from service.cli.terminal.options import ConfigurationOption, DeviceOption, QuietOption
from service.settings import Commas, argument, option
from tokenizer.images.config import COMPARED
from tokenizer.images.options import IMAGE_BOUNDS, IMAGE_OPTIONS

if TYPE_CHECKING:
    from tokenizer.images.config import ImageConfig
    from tokenizer.images.study.cells import Place
    from tokenizer.study.cells import Mapped

__all__ = [
    "AblateSettings",
    "CompareSettings",
    "ReportSettings",
    "TrainSettings",
    "ablate",
    "app",
    "compare",
    "report",
    "train",
]

app = typer.Typer(
    help="Try quantizers on images, as the papers that propose them do.", no_args_is_help=True
)
COST = "cost"


def _field(name: str, description: str) -> Any:
    """Return an option with the default and bounds of a field of an image configuration."""
    least, most = IMAGE_BOUNDS.get(name, (None, None))
    bounds: dict[str, Any] = {} if least is None else {"ge": least, "le": most}
    return option(description, IMAGE_OPTIONS[name][1], **bounds)


class _ImagesSettings(DeviceOption, ConfigurationOption, QuietOption):
    """The options of the commands that train."""

    after_stop = "the same command goes on from the runs in {out}/runs"

    images: Path = argument(
        "Folder, .zip, .parquet or IDX file of images; the folder above an image is its class."
    )
    out: Path = option("Folder for records, tables and pictures.")
    size: int = option("Pixels of an image's side; others are scaled and cropped.", 32, ge=16)
    held_out: float = option(
        "Share of the images that do not train; half of them validate, half only report.",
        0.2,
        gt=0,
        le=0.9,
    )
    classifier_steps: int = option(
        "Steps of the two classifiers whose features give the perceptual distances.", 1000, ge=1
    )
    jobs: int = option("Runs side by side, each a process of its own.", 1, ge=1, le=256)


class TrainSettings(_ImagesSettings):
    """The options of `semid images train`."""

    command = "images train"

    quantizer: str = _field("quantizer", "The variant; semid quantizers lists them.")
    levels: int = _field("levels", "Codes of a grid position.")
    codebook_size: int = _field("codebook_size", "Codewords of a level.")
    grid: int = _field("grid", "Rows and columns of positions with codes.")
    steps: int = _field("steps", "Training steps after the warm-up.")


class CompareSettings(_ImagesSettings):
    """The options of `semid images compare`."""

    command = "images compare"

    quantizers: Commas = option("Names joined by commas.", COMPARED, min_length=1)
    levels: int = _field("levels", "Codes of a grid position.")
    codebook_size: int = _field("codebook_size", "Codewords of a level.")
    grid: int = _field("grid", "Rows and columns of positions with codes.")
    steps: int = _field("steps", "Training steps of each after the warm-up.")
    tune: int = option(
        "Trials that tune each row first, over its learning rates and a parameter of its own, "
        "chosen on validation images; 1 takes the defaults.",
        1,
        ge=1,
    )
    seeds: int = option("Seeds of the best rows; the others have one.", 3, ge=1)
    best: int = option("How many rows get all seeds.", 4, ge=1)


class AblateSettings(_ImagesSettings):
    """The options of `semid images ablate`."""

    command = "images ablate"

    study: Commas = option("Names of those above joined by commas, or all.", min_length=1)
    seeds: int = option("Seeds of each row, from 0.", 1, ge=1)
    steps: int = _field("steps", "Training steps of each after the warm-up.")
    tuned: Path | None = option(
        "Folder of a comparison: rows start from what its tuning chose for their variant.",
        None,
        default_text="--out",
    )


class ReportSettings(QuietOption):
    """The options of `semid images report`."""

    command = "images report"

    out: Path = argument("Folder that semid images compare or ablate wrote.")


def train(settings: TrainSettings) -> None:
    """Train one quantizer in an image autoencoder, and a prior over its codes.

    The result is a record with the figures on held-out images, the weights beside it, a table and
    pictures.

    Example: semid images train photos/ --quantizer grit --codebook-size 1024 --out images/grit
    """
    from tokenizer.images.study.cells import Cell
    from tokenizer.images.study.comparison import run_rows
    from tokenizer.images.study.rows import compared_rows

    rows = compared_rows([settings.quantizer], _given(settings))
    total = sum(Cell(row).work for row in rows.values())
    with _prepared(settings, rows) as (place, mapped), bar("training, steps", total) as progress:
        run_rows(place, {"train": rows}, 1, mapped, progress, weights=True)
    _tell(settings.out, ["train"])


def compare(settings: CompareSettings) -> None:
    """Train quantizers in the same image autoencoder with the same budget, and compare them.

    Each row is tuned by --tune trials on validation images, then trained with one seed; the best
    rows get further seeds. Figures are those of held-out images. Each run has a record in
    --out/runs, so that a stopped comparison can resume. An option of --set applies to the variants
    that have it.

    Example: semid images compare cifar10.parquet --codebook-size 4096 --tune 6 --out images/cifar10
    """
    from tokenizer.images.study.comparison import compare_images, work_of
    from tokenizer.images.study.rows import compared_rows

    rows = compared_rows(settings.quantizers, _given(settings))
    total = work_of(rows, settings.tune, settings.seeds, settings.best)
    with _prepared(settings, rows) as (place, mapped), bar("comparing, steps", total) as progress:
        compare_images(place, rows, settings.tune, settings.seeds, settings.best, mapped, progress)
    _tell(settings.out, ["compare"])


def ablate(settings: AblateSettings) -> None:
    """Ask the papers' questions: rows that differ in one thing, on the same images.

    codebook-size, components, start, auxiliary, levels, transform, radius, refresh and grid vary
    what their names say; cost measures time and memory of a step, with nothing beside it. Records
    and tables are as in semid images compare; studies in one folder share runs.

    Example: semid images ablate cifar10.parquet --study radius,transform --out images/cifar10
    """
    from tokenizer.images.config import ImageConfig
    from tokenizer.images.options import with_image_options
    from tokenizer.images.study.cells import Cell
    from tokenizer.images.study.comparison import run_rows
    from tokenizer.images.study.cost import measure_cost
    from tokenizer.images.study.rows import study_rows
    from tokenizer.images.study.studies import IMAGE_STUDIES

    names = list(settings.study) if settings.study != ("all",) else [*IMAGE_STUDIES, COST]
    given, tuned = _given(settings), settings.tuned or settings.out
    studies = {name: study_rows(name, given, tuned) for name in names if name != COST}
    rows = {f"{study}: {name}": row for study in studies for name, row in studies[study].items()}
    distinct = {repr(row): Cell(row).work for row in rows.values()}
    total = settings.seeds * sum(distinct.values())
    with _prepared(settings, rows) as (place, mapped):
        if studies:
            with bar("studying, steps", total) as progress:
                run_rows(place, studies, settings.seeds, mapped, progress)
        if COST in names:
            sizes = (1024, 4096)
            base = with_image_options(ImageConfig(), given)
            output.print(measure_cost(place, base, sizes))
    if studies:
        _tell(settings.out, list(studies))


def report(settings: ReportSettings) -> None:
    """Make the tables and pictures of a folder again, from its records alone.

    Records may come from another machine.

    Example: semid images report images/cifar10
    """
    from tokenizer.images.study.tables import studies_in

    _tell(settings.out, studies_in(settings.out))


def _given(settings: _ImagesSettings) -> dict[str, object]:
    """Return the options that the command line gives, those of --set included."""
    named = {
        name: getattr(settings, name)
        for name in IMAGE_OPTIONS
        if name in type(settings).model_fields and name != "quantizer"
    }
    return {**named, **settings.options}


@contextmanager
def _prepared(
    settings: _ImagesSettings, rows: "Mapping[str, ImageConfig]"
) -> "Iterator[tuple[Place, Mapped]]":
    """Read and check the images, train the classifiers, and start the processes."""
    from data_prep.storage.files import check_writable
    from tokenizer.images.data.reading import read_images
    from tokenizer.images.study.comparison import Source, check_fits, prepared
    from tokenizer.study.cells import side_by_side

    device = settings.torch_device()
    check_writable(settings.out / "runs" / "record.json")
    images = read_images(settings.images, settings.size)
    notes = dict.fromkeys(images.notes())
    for config in rows.values():
        notes |= dict.fromkeys(check_fits(images, settings.held_out, config))
    for note in notes:
        errors.print(f"warning: {note}")
    source = Source(images, settings.held_out, settings.classifier_steps)
    # One job runs in this process, with all its threads.
    jobs = nullcontext(map) if settings.jobs == 1 else side_by_side(settings.jobs)
    with jobs as mapped, prepared(source, settings.out, device, mapped) as place:
        yield place, mapped


def _tell(out: Path, studies: list[str]) -> None:
    """Write and print the tables of studies, and draw their pictures."""
    from tokenizer.images.study.pictures import draw_study
    from tokenizer.images.study.tables import read_study, write_tables

    for study in studies:
        rows = read_study(out, study)
        output.print(f"\n{study}\n\n{write_tables(out, study, rows)}")
        draw_study(rows, out / study)
    output.print(f"\nkept in {out}")


add_command(app, train)
add_command(app, compare)
add_command(app, ablate)
add_command(app, report)
