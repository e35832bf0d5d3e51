"""`python -m tokenizer.images.study IMAGES --out DIR`: cells on a machine with torch and Pillow.

It compares, runs studies and measures the cost of a step as `semid images` does, one after the
other in the same processes, and keeps the records. `semid images report` makes their tables.
"""

import argparse
import sys
import time
from pathlib import Path

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

from tokenizer.images.config import COMPARED, ImageConfig
from tokenizer.images.data.reading import read_images
from tokenizer.images.study.comparison import Source, compare_images, prepared, run_rows
from tokenizer.images.study.cost import measure_cost
from tokenizer.images.study.rows import compared_rows, study_rows
from tokenizer.images.study.studies import IMAGE_STUDIES
from tokenizer.study.cells import OutOfTimeError, side_by_side

STARTED = time.perf_counter()


def main() -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tokenizer.images.study", description=__doc__)
    parser.add_argument("images", type=Path, help="folder, .zip, .parquet or IDX file")
    parser.add_argument("--out", required=True, type=Path, help="folder for records")
    parser.add_argument("--size", type=int, default=32, help="pixels of an image's side")
    parser.add_argument("--held-out", type=float, default=0.2, help="share that does not train")
    parser.add_argument("--quantizers", default=",".join(COMPARED), help="to compare; '' for none")
    parser.add_argument("--studies", default=",".join(IMAGE_STUDIES), help="'' for none")
    parser.add_argument("--cost", default="", help="codebook sizes, joined by commas")
    parser.add_argument("--tune", type=int, default=1, help="trials that tune each variant")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the best four")
    parser.add_argument("--study-seeds", type=int, default=1, help="seeds of a study's rows")
    parser.add_argument("--classifier-steps", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--minutes", type=float, help="no cell starts after so many minutes")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu or auto")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    device = resolve_device(given.device)
    options = dict(text.split("=", 1) for text in given.set)
    source = Source(read_images(given.images, given.size), given.held_out, given.classifier_steps)
    until = time.time() + 60 * given.minutes if given.minutes else float("inf")
    with (
        side_by_side(given.jobs, until) as mapped,
        prepared(source, given.out, device, mapped) as place,
    ):
        _say("classifiers are trained")
        if given.cost:
            sizes = [int(size) for size in given.cost.split(",")]
            print(measure_cost(place, ImageConfig(), sizes))  # noqa: T201
        if given.quantizers:
            rows = compared_rows(given.quantizers.split(","), options)
            try:
                compare_images(
                    place, rows, given.tune, given.seeds, 4, mapped, _progress("compare")
                )
            except InputError as error:  # some runs stopped; the studies can go on
                _say(str(error))
        if given.studies:
            studies = {
                name: study_rows(name, options, given.out) for name in given.studies.split(",")
            }
            run_rows(place, studies, given.study_seeds, mapped, _progress("studies"))


def _progress(what: str) -> Progress:
    done = 0

    def report(count: int, /) -> None:
        nonlocal done
        done += count
        _say(f"{what}: {done:,} steps")

    return report


def _say(text: str) -> None:
    print(f"{time.perf_counter() - STARTED:.0f} s: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":  # spawned processes import this
    try:
        main()
    except InputError as error:
        sys.exit(f"semid: {error}")
    except OutOfTimeError:
        sys.exit("the time is over; the same command goes on")
