"""The configurations of a study's rows, from the user's options and what a comparison chose."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.images.config import ImageConfig
from tokenizer.images.options import check_images, image_options_for, with_image_options
from tokenizer.images.study.studies import IMAGE_STUDIES
from tokenizer.quantizer_config import CONFIGS

__all__ = ["compared_rows", "study_rows"]


def compared_rows(
    quantizers: Sequence[str], options: Mapping[str, object]
) -> dict[str, ImageConfig]:
    """Return a row for each variant; an option applies to the variants that have it.

    Raises:
        InputError: an option or a variant is unknown, or cannot be as asked.
    """
    _check(options)
    rows = {}
    for name in quantizers:
        check_name("quantizer", name, CONFIGS)
        own = image_options_for(name, options) | {"quantizer": name}
        rows[name] = with_image_options(ImageConfig(), own)
        check_images(rows[name])
    return rows


def study_rows(study: str, options: Mapping[str, object], tuned: Path) -> dict[str, ImageConfig]:
    """Return the rows of a study.

    A row's options win over the user's, these over what a comparison's tuning chose for the
    variant, and that over the study's shared ones.

    Args:
        tuned: folder of a comparison; where it has no tuning.json the defaults stand.

    Raises:
        InputError: as `compared_rows`, or the study is unknown.
    """
    check_name("study", study, IMAGE_STUDIES)
    _check(options)
    chosen = tuned_options(tuned)
    found = {}
    for name, changes in IMAGE_STUDIES[study].rows.items():
        quantizer = str(changes.get("quantizer", options.get("quantizer", "grit")))
        given = {**IMAGE_STUDIES[study].shared, **chosen.get(quantizer, {}), **options}
        own = image_options_for(quantizer, given) | dict(changes)
        found[name] = with_image_options(ImageConfig(), own)
        check_images(found[name])
    return found


def tuned_options(folder: Path) -> dict[str, dict[str, object]]:
    """Return the options that a comparison in a folder chose, by variant; none if it has none."""
    kept = folder / "tuning.json"
    if not kept.exists():
        return {}
    return {name: dict(told["options"]) for name, told in json.loads(kept.read_text()).items()}


def _check(options: Mapping[str, object]) -> None:
    if "seed" in options:
        raise InputError("--set seed: a study runs seeds from 0; say how many with --seeds")
