"""`python -m tokenizer.study PLAN.toml --out DIR`: many comparisons, cells side by side."""

import argparse
import sys
import time
from pathlib import Path

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

from tokenizer.study.cells import side_by_side
from tokenizer.study.plan import make_plan, read_plan


def main() -> None:
    """Make the comparisons of a plan; see `tokenizer.study.plan`."""
    parser = argparse.ArgumentParser(
        prog="python -m tokenizer.study",
        description="Make all comparisons of a plan, cells side by side. This needs torch, "
        "scikit-learn and safetensors, and FAISS where a row is rq_faiss. A stopped plan goes on "
        "with the same command.",
    )
    parser.add_argument("plan", type=Path, help="a TOML file; see tokenizer/study/plan.py")
    parser.add_argument("--out", required=True, type=Path, help="folder of the comparisons")
    parser.add_argument(
        "--items", type=Path, help="folder of the catalogues; the plan's if left out"
    )
    parser.add_argument("--device", default="cpu", help="cuda, cuda:1, cpu or auto")
    parser.add_argument("--jobs", type=int, default=1, help="cells made at once, of one core each")
    parser.add_argument("--minutes", type=float, help="no cell starts after so many minutes")
    parser.add_argument("--only", nargs="+", help="the comparisons to make, by name")
    given = parser.parse_args()
    device = resolve_device(given.device)
    planned = read_plan(given.plan, given.items)
    if given.only is not None:
        unknown = set(given.only) - {each.name for each in planned}
        if unknown:
            raise InputError(f"--only: the plan has no comparison {min(unknown)!r}")
        planned = [each for each in planned if each.name in given.only]
    until = time.time() + 60 * given.minutes if given.minutes else float("inf")
    with side_by_side(given.jobs, until) as mapped:
        faults = make_plan(planned, given.out, mapped, given.jobs, device)
    for each in planned:
        print(f"{each.name}: {faults.get(each.name, 'made')}")  # noqa: T201
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
