"""Studies: tuned alike, resumed, told in tables and pictures."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from data_prep.errors import InputError
from tests.tokenizer.images.pictures import SIDE, TINY, written
from tokenizer.images.config import COMPARED, ImageConfig
from tokenizer.images.data.device_images import load_images, to_unit
from tokenizer.images.data.reading import ImageSet, read_images
from tokenizer.images.options import with_image_options
from tokenizer.images.study.cells import Cell, read_trained
from tokenizer.images.study.comparison import (
    Source,
    check_fits,
    compare_images,
    prepared,
    run_rows,
    work_of,
)
from tokenizer.images.study.cost import measure_cost
from tokenizer.images.study.pictures import draw_study
from tokenizer.images.study.rows import study_rows
from tokenizer.images.study.studies import IMAGE_STUDIES
from tokenizer.images.study.tables import read_study, studies_in, write_tables


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return read_images(written(tmp_path_factory.mktemp("pictures")), SIDE)


@pytest.fixture(scope="module")
def source(images: ImageSet) -> Source:
    return Source(images, 0.3, 5)


def _rows(*names: str) -> dict[str, ImageConfig]:
    return {name: with_image_options(TINY, {"quantizer": name}) for name in names}


def test_a_comparison_is_tuned_goes_on_and_is_told(source: Source, tmp_path: Path) -> None:
    rows = _rows("ste", "grit", "fsq")
    done: list[int] = []
    with prepared(source, tmp_path, "cpu", map) as place:
        compare_images(place, rows, 2, 2, 1, map, done.append)
    assert len(done) == 10
    assert sum(done) == work_of(rows, 2, 2, 1)
    trials = list((tmp_path / "trials").iterdir())
    assert len(trials) == 6
    assert not any("held_out_loss" in json.loads(path.read_text()) for path in trials)
    tuning = json.loads((tmp_path / "tuning.json").read_text())
    for told in tuning.values():
        losses = {json.dumps(t["options"]): t["validation_loss"] for t in told["trials"]}
        assert json.dumps(told["options"]) == min(losses, key=losses.__getitem__)
        assert "{}" in losses
    assert studies_in(tmp_path) == ["compare"]
    found = read_study(tmp_path, "compare")
    assert sorted(len(row.records) for row in found) == [1, 1, 2]
    of_seed_0 = [_first(row)["validation_loss"] for row in found]
    assert of_seed_0 == sorted(of_seed_0)  # the seed that all rows have
    assert len(found[0].records) == 2
    table = write_tables(tmp_path, "compare", found)
    assert len(table.splitlines()) == 5
    assert "validation loss, common seeds" in table
    assert "**" in table
    files = draw_study(found, tmp_path / "compare")
    assert {file.name for file in files} == {
        "curves.png", "rates.png", "reconstructions.png", "samples.png",
    }  # fmt: skip
    with Image.open(tmp_path / "compare" / "reconstructions.png") as sheet:
        assert sheet.height == 4 * (SIDE * 2 + 2)
    stamps = _stamps(tmp_path)
    with prepared(source, tmp_path, "cpu", map) as place:
        compare_images(place, rows, 2, 2, 1, map)
    assert _stamps(tmp_path) == stamps
    removed = next(iter(found[0].records))
    removed.unlink()
    [missing] = [row for row in read_study(tmp_path, "compare") if row.missing]
    assert missing.name == found[0].name
    with prepared(source, tmp_path, "cpu", map) as place:
        compare_images(place, rows, 2, 2, 1, map)
    assert {path for path in _stamps(tmp_path) if _stamps(tmp_path)[path] != stamps[path]} == {
        removed
    }


def _first(row: object) -> dict[str, float]:
    records = row.records  # type: ignore[attr-defined]
    found: dict[str, float] = next(iter(records.values()))
    return found


def _stamps(folder: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns
        for kind in ("runs", "trials", "classifiers")
        for path in (folder / kind).glob("*.json")
    }


def test_figures_are_those_of_the_kept_model_on_held_out_images(
    source: Source, tmp_path: Path
) -> None:
    config = with_image_options(TINY, {"quantizer": "ste", "levels": 2})
    with prepared(source, tmp_path, "cpu", map) as place:
        run_rows(place, {"train": {"ste": config}}, 1, map, weights=True)
        images = load_images(place.images, 0.3, "cpu")
        path = Cell(config).path(place)
    record = json.loads(path.read_text())
    model = read_trained(path)
    codes = model.encode(to_unit(images.held_out))
    used = [len(codes[..., level].unique()) for level in range(2)]
    assert record["utilization"] == pytest.approx(min(used) / 32)
    assert record["dead_codes"] == 64 - sum(used)
    assert record["bits"] == 16 * 2 * 5
    assert len(record["held_out_losses"]) == len(images.held_out) == 9
    assert record["held_out_loss"] == pytest.approx(sum(record["held_out_losses"]) / 9, abs=1e-4)
    one, both = record["levels_of_rate"]
    assert (one["bits"], both["bits"]) == (80, 160)
    assert both["psnr"] == pytest.approx(record["psnr"])
    decoded = model.decode(codes)
    error = (((decoded.clamp(-1, 1) - to_unit(images.held_out)) / 2) ** 2).mean((1, 2, 3))
    assert record["psnr"] == pytest.approx(float((-10 * error.log10()).mean()), abs=0.05)
    assert record["prior_bits"] == pytest.approx(32 * math.log2(record["prior_perplexity"]))


def test_a_row_that_diverges_is_told_and_stops_nothing(source: Source, tmp_path: Path) -> None:
    rows = _rows("ste")
    rows["too fast"] = with_image_options(rows["ste"], {"learning_rate": 1e25, "steps": 30})
    with prepared(source, tmp_path, "cpu", map) as place:
        run_rows(place, {"rates": rows}, 1, map)
    found = read_study(tmp_path, "rates")
    assert [row.name for row in found] == ["ste", "too fast"]
    table = write_tables(tmp_path, "rates", found)
    assert "* too fast: the loss is nan at step " in table
    assert draw_study(found, tmp_path / "rates")


def test_studies_share_runs_and_have_the_rows_of_their_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown study 'radios'.*did you mean 'radius'"):
        study_rows("radios", {}, tmp_path)
    every = {name: study_rows(name, {"steps": 5}, tmp_path) for name in IMAGE_STUDIES}
    assert {config.quantizer.codebook_size for config in every["codebook-size"].values()} == {
        256, 1024, 4096, 16_384,
    }  # fmt: skip
    assert every["radius"]["power"] == every["transform"]["linear"] == every["auxiliary"]["grit"]
    assert all(config.steps == 5 for rows in every.values() for config in rows.values())
    tuning = {"grit": {"options": {"learning_rate": 0.003, "radius": "huber"}}}
    (tmp_path / "tuning.json").write_text(json.dumps(tuning))
    rows = study_rows("radius", {}, tmp_path)
    assert {config.learning_rate for config in rows.values()} == {0.003}
    assert rows["power"].quantizer != rows["huber"].quantizer
    rows = study_rows("components", {}, tmp_path)
    assert rows["ste"].learning_rate == ImageConfig().learning_rate


def test_the_cost_of_a_step_is_measured(source: Source, tmp_path: Path) -> None:
    with prepared(source, tmp_path, "cpu", map) as place:
        table = measure_cost(place, TINY, (32,), rounds=1)
    assert table.splitlines()[2].startswith("| ste | 32 |")
    rows = json.loads((tmp_path / "cost" / "cost.json").read_text())["rows"]
    assert all(row["milliseconds"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 5}, "grid 5 does not divide images of 16 × 16"),
        (
            {"codebook_size": 1024, "rank": 4},
            "codebook_size 1024 is more than the 672 latents",
        ),
        ({"prior_heads": 3}, "prior_width 16 does not divide into 3 heads"),
        ({"levels": 5}, "levels 5 is outside 1…4"),
        (
            {"quantizer": "lfq", "codebook_size": 20},
            "codebook_size 20: codes of lfq are whole",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    options: dict[str, object], message: str, images: ImageSet
) -> None:
    with pytest.raises(InputError, match=message):
        check_fits(images, 0.3, with_image_options(TINY, options))


def test_fewer_images_than_codewords_are_told(images: ImageSet) -> None:
    many = with_image_options(TINY, {"codebook_size": 64})
    assert check_fits(images, 0.3, many) == ["60 images are fewer than the 64 codewords of a level"]
    assert check_fits(images, 0.3, TINY) == []


@pytest.mark.slow
def test_variants_train_at_4096_codewords(tmp_path: Path) -> None:
    """With a grid of 8 × 8, and steps enough for what overflows to show."""
    big = replace(TINY, steps=60, network=replace(TINY.network, grid=8))
    names = (*COMPARED, "rotation", "sf_diveq", "wasserstein")
    rows = {
        name: with_image_options(big, {"quantizer": name, "codebook_size": 4096}) for name in names
    }
    images = read_images(written(tmp_path / "images", 100), SIDE)
    with prepared(Source(images, 0.2, 5), tmp_path, "cpu", map) as place:
        run_rows(place, {"many": rows}, 1, map)
    found = read_study(tmp_path, "many")
    assert [row.failed for row in found] == [()] * len(rows)
    assert torch.tensor([_first(row)["held_out_loss"] for row in found]).isfinite().all()


def test_another_split_has_other_classifiers_and_records(source: Source, tmp_path: Path) -> None:
    found = []
    for share in (0.3, 0.4):
        with prepared(replace(source, held_out=share), tmp_path, "cpu", map) as place:
            found.append((Cell(TINY).path(place), place.classifier("judge").read_bytes()))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]
