"""The `semid` command in this process: what it makes, and one clear line for each bad input."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from tests.service.cli.command import FAST, SMALL, Command, refused
from tokenizer.quantizers import QUANTIZERS


def test_help_teaches(semid: Command) -> None:
    told = semid("--help").output
    for command in (
        "prepare", "fit", "inspect", "report", "tokenize", "serve", "demo", "embed",
    ):  # fmt: skip
        assert command in told
        assert semid(command, "--help").code == 0
    assert "256" in semid("fit", "--help").output


def test_a_catalogue_becomes_ids_that_stay(semid: Command, catalogue: Path, tmp_path: Path) -> None:
    fitted = semid("fit", catalogue, "--out", "tok", *SMALL)
    assert fitted.code == 0, fitted.errors
    assert "utilization" in fitted.output
    told = json.loads(semid("inspect", "tok", "--json").output)
    assert told["config"]["training"]["quantizer"]["codebook_size"] == 16
    assert told["metrics"]["record"]["command"].startswith("semid fit")
    assert told["fingerprint"] in semid("inspect", "tok").output

    tokenize = ("tokenize", catalogue, "--tokenizer", "tok", "--out")
    assert semid(*tokenize, "ids.parquet").code == 0
    first = Path("ids.parquet").read_bytes()
    assert semid(*tokenize, "ids.parquet", "--batch-size", 7).code == 0
    assert Path("ids.parquet").read_bytes() == first
    ids = pl.read_parquet("ids.parquet")
    assert ids["semantic_id"].n_unique() == ids.height == 300

    pl.read_parquet(catalogue).tail(200).write_parquet("some.parquet")
    part = ("tokenize", "some.parquet", "--tokenizer", "tok", "--out", "part.parquet")
    assert semid(*part).code == 0
    grown = semid(*tokenize, "all.parquet", "--known", "part.parquet")
    assert "300 IDs, 100 of them new" in grown.output
    assert pl.read_parquet("all.parquet").head(200).equals(pl.read_parquet("part.parquet"))

    refused(semid(*part[:-1], "ids.parquet"), "ids.parquet exists", "--overwrite")
    assert Path("ids.parquet").read_bytes() == first
    assert semid(*part[:-1], "ids.parquet", "--overwrite").code == 0
    assert not list(tmp_path.glob(".*.tmp"))


def test_reassigned_ids_have_one_length_and_stay(semid: Command, catalogue: Path) -> None:
    fit = ("fit", catalogue, "--out", "tok", *SMALL, "--policy")
    refused(semid(*fit, "next"), "policy: Input should be 'suffix' or 'reassign'", "next")
    assert "reassign" in semid(*fit, "reassign", "--codebook-size", 20).output
    pl.read_parquet(catalogue).tail(200).write_parquet("some.parquet")
    tokenize = ("tokenize", "--tokenizer", "tok")
    part = semid(*tokenize, "some.parquet", "--out", "part.parquet")
    assert part.output.strip().endswith("200 IDs, 200 of them new")
    assert semid(*tokenize, catalogue, "--out", "all.parquet", "--known", "part.parquet").code == 0
    ids = pl.read_parquet("all.parquet")
    assert ids.head(200).equals(pl.read_parquet("part.parquet"))
    assert ids["suffix"].max() == 0
    assert ids["semantic_id"].n_unique() == ids.height == 300
    assert semid(*fit[:3], "small", *SMALL, "--policy", "reassign").code == 0  # 256 IDs
    small = ("tokenize", catalogue, "--tokenizer", "small", "--out", "ids.parquet")
    refused(semid(*small), "all others of this tokenizer (16^2)", "--codebook-size")
    assert not Path("ids.parquet").exists()


def test_csv_json_lines_and_mapped_columns(semid: Command, catalogue: Path) -> None:
    items = pl.read_parquet(catalogue)
    items.drop("categories").rename({"item_id": "sku"}).write_csv("shop.csv")
    items.write_ndjson("shop.jsonl")
    assert semid("prepare", "catalog", "shop.jsonl", "--out", "shop").code == 0
    assert pl.read_parquet("shop/items.parquet").equals(items)
    outcome = semid("fit", "shop.csv", "--out", "tok", "--column", "item_id=sku", *SMALL)
    assert outcome.code == 0, outcome.errors
    refused(semid("fit", "shop.csv", "--out", "t2", "--column", "sku", *SMALL), "OURS=THEIRS")
    guessed = semid("fit", "shop.csv", "--out", "t2", *SMALL)
    assert "columns by their names: item_id=sku" in guessed.errors
    assert json.loads(semid("inspect", "t2", "--json").output)["config"]["mapping"]["columns"] == {
        "item_id": "sku"
    }
    items.rename({"item_id": "first"}).drop("categories").write_csv("other.csv")
    refused(semid("fit", "other.csv", "--out", "t3", *SMALL), "mean --column item_id=first?")


def test_own_vectors_need_no_encoder(semid: Command, catalogue: Path) -> None:
    assert semid("embed", catalogue, "--out", "v.parquet", "--encoder", "hashing").code == 0
    fitted = semid("fit", catalogue, "--out", "tok", "--vectors", "v.parquet", *SMALL)
    assert fitted.code == 0, fitted.errors
    tokenize = ("tokenize", catalogue, "--tokenizer", "tok", "--out", "ids.parquet")
    refused(semid(*tokenize), "fitted on vectors")
    assert semid(*tokenize, "--vectors", "v.parquet").code == 0
    pl.read_parquet("v.parquet").head(10).write_parquet("few.parquet")
    refused(semid(*tokenize, "--vectors", "few.parquet"), "290 items have no vector")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v[:, :9], "length 9"),
        (lambda v: np.where(np.arange(300)[:, None] == 4, np.nan, v), "'D00004' has NaN"),
        (lambda v: np.where(np.arange(300)[:, None] == 4, 0, v), "'D00004' has only zeros"),
    ],
)
def test_wrong_vectors(semid: Command, catalogue: Path, change: object, said: str) -> None:
    semid("embed", catalogue, "--out", "v.parquet", "--encoder", "hashing")
    semid("fit", catalogue, "--out", "tok", "--vectors", "v.parquet", *SMALL)
    table = pl.read_parquet("v.parquet")
    vectors: NDArray[np.float32] = change(table["vector"].to_numpy())  # type: ignore[operator]
    pl.DataFrame({"item_id": table["item_id"], "vector": vectors}).write_parquet("w.parquet")
    tokenize = ("tokenize", catalogue, "--tokenizer", "tok", "--out", "ids.parquet")
    refused(semid(*tokenize, "--vectors", "w.parquet"), said)
    assert not Path("ids.parquet").exists()


def test_wrong_catalogues(semid: Command) -> None:
    fit = ("fit", "shop.csv", "--out", "tok", *SMALL)
    refused(semid(*fit), "shop.csv does not exist")
    for content, said in (
        ("", "empty"),
        ("item_id,title\n", "no items"),
        ("item_id,title\na,x\na,y\n", "'a' is in more than one row (lines 2, 3)"),
        ("item_id,title\na,x\n,y\n", "1 empty value (line 3)"),
        ("item_id,title\na,x\nb,\nc,\n", "2 items: b, c"),
        ("item_id,title\na,x\n", "too few"),
    ):
        Path("shop.csv").write_text(content)
        refused(semid(*fit), said)
        assert not Path("tok").exists()


@pytest.mark.parametrize("quantizer", sorted(QUANTIZERS))
def test_every_quantizer_makes_a_tokenizer(semid: Command, catalogue: Path, quantizer: str) -> None:
    assert semid("fit", catalogue, "--out", "tok", "--quantizer", quantizer, *SMALL).code == 0
    assert f" {quantizer} " in semid("inspect", "tok").output
    assert semid("tokenize", catalogue, "--tokenizer", "tok", "--out", "ids.parquet").code == 0
    assert pl.read_parquet("ids.parquet")["semantic_id"].n_unique() == 300


def test_wrong_options(semid: Command, catalogue: Path) -> None:
    fit = ("fit", catalogue, "--out", "tok")
    refused(semid(*fit, "--codebook-size", "70000"), "codebook-size", "65536")
    refused(semid(*fit, "--quantizer", "gritt"), "unknown quantizer 'gritt'", "did you mean 'grit'")
    refused(semid(*fit, "--encoder", "/no/model"), "/no/model", "minilm")
    refused(semid(*fit, "--text-fields", "title,brnad"), "'brnad'", "brand")
    refused(semid("demo", "--port", "70000"), "port")
    assert semid(*fit, "--no-such-option").code == 2


def test_environment_and_toml_stand_behind_the_command_line(
    semid: Command, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("semid.toml").write_text("[fit]\nlevels = 3\ncodebook_size = 8\nseed = 4\n")
    monkeypatch.setenv("SEMID_FIT_SEED", "5")
    assert semid("fit", catalogue, "--out", "tok", "--levels", "2", *FAST).code == 0
    training = json.loads(semid("inspect", "tok", "--json").output)["config"]["training"]
    assert training["quantizer"]["levels"] == 2
    assert training["quantizer"]["codebook_size"] == 8
    assert training["seed"] == 5
    for content, said in (("[fit]\nlevel = 3\n", "level"), ("[fit", "semid.toml"), ("fit = 3", "")):
        Path("semid.toml").write_text(content)
        refused(semid("fit", catalogue, "--out", "t2"), said)
    Path("semid.toml").unlink()
    monkeypatch.setenv("SEMID_FIT_TEXT_FIELDS", "title, brand")
    assert semid("fit", catalogue, "--out", "t2", *SMALL).code == 0
    assert json.loads(semid("inspect", "t2", "--json").output)["config"]["text"]["fields"] == [
        "title", "brand",
    ]  # fmt: skip


@pytest.fixture
def tokenizer(tokenizer_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tok"
    shutil.copytree(tokenizer_folder, folder)
    return folder


def test_a_report_of_ids_is_that_of_items(semid: Command, catalogue: Path, tokenizer: Path) -> None:
    report = ("report", tokenizer, "--out")
    told = semid(*report, "alone.html")
    assert "the tokenizer alone" in told.output, told.errors
    assert "--items" in Path("alone.html").read_text()
    items = semid(*report, "items.html", "--items", catalogue)
    assert "300 items" in items.output, items.errors
    tokenized = semid("tokenize", catalogue, "--tokenizer", tokenizer, "--out", "ids.parquet")
    assert tokenized.code == 0
    given = (*report, "ids.html", "--items", catalogue, "--ids", "ids.parquet")
    assert semid(*given).code == 0
    assert Path("ids.html").read_bytes() == Path("items.html").read_bytes()
    assert semid(*report, "untitled.html", "--ids", "ids.parquet").code == 0
    first = pl.read_parquet(catalogue)["item_id"][0]
    assert first not in Path("ids.html").read_text()
    assert "D00" in Path("untitled.html").read_text()


def test_reports_that_cannot_be_written(semid: Command, catalogue: Path, tokenizer: Path) -> None:
    report = ("report", tokenizer, "--out")
    refused(semid("report", "nowhere", "--out", "r.html"), "nowhere is not a folder")
    before = catalogue.read_bytes()
    refused(semid(*report, catalogue), "is not an .html file")
    assert catalogue.read_bytes() == before
    Path("folder.html").mkdir()
    refused(semid(*report, "folder.html"), "is a folder")
    refused(semid(*report, "r.html", "--items", "no.csv"), "no.csv does not exist")
    refused(semid(*report, "r.html", "--vectors", "v.parquet"), "--vectors", "--items")
    assert semid("tokenize", catalogue, "--tokenizer", tokenizer, "--out", "ids.parquet").code == 0
    pl.read_parquet("ids.parquet").with_columns(tokenizer=pl.lit("another")).write_parquet(
        "o.parquet"
    )
    refused(semid(*report, "r.html", "--ids", "o.parquet"), "tokenizer another")
    refused(semid(*report, "r.html", "--ids", catalogue), "no column 'codes'")
    assert not Path("r.html").exists()


def test_damaged_tokenizers(semid: Command, catalogue: Path, tokenizer: Path) -> None:
    tokenize = ("tokenize", catalogue, "--tokenizer", tokenizer, "--out", "ids.parquet")
    config = json.loads((tokenizer / "config.json").read_text())
    (tokenizer / "config.json").write_text(json.dumps(config | {"format": 99}))
    refused(semid(*tokenize), "format 99", "reads format 2")
    (tokenizer / "config.json").write_text(json.dumps(config))
    weights = bytearray((tokenizer / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 4
    (tokenizer / "weights.safetensors").write_bytes(weights)
    for outcome in (semid(*tokenize), semid("inspect", tokenizer)):
        refused(outcome, "do not match the fingerprint")
    (tokenizer / "weights.safetensors").unlink()
    refused(semid(*tokenize), "has no weights.safetensors")
    refused(semid("inspect", "nowhere"), "nowhere is not a folder")
    weights[len(weights) // 2] ^= 4
    (tokenizer / "weights.safetensors").write_bytes(weights)
    assert semid("inspect", tokenizer).code == 0
    (tokenizer / "metrics.json").write_text("{}")
    refused(semid("inspect", tokenizer), "metrics.json is damaged")
    assert not Path("ids.parquet").exists()


def test_a_tokenizer_is_not_replaced_unasked(
    semid: Command, catalogue: Path, tokenizer: Path
) -> None:
    before = (tokenizer / "config.json").read_bytes()
    refused(semid("fit", catalogue, "--out", tokenizer, *SMALL), "exists", "--overwrite")
    assert (tokenizer / "config.json").read_bytes() == before
    assert semid("fit", catalogue, "--out", tokenizer, "--overwrite", *SMALL).code == 0
    assert (tokenizer / "config.json").read_bytes() != before


def test_serving_what_cannot_be_served(semid: Command, catalogue: Path, tokenizer: Path) -> None:
    assert semid("tokenize", catalogue, "--tokenizer", tokenizer, "--out", "ids.parquet").code == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = semid("serve", "--tokenizer", tokenizer, "--port", port)
        refused(outcome, f"port {port} on 127.0.0.1 cannot be used", "--port")
    assert not Path("semid.db").exists()
    refused(semid("serve", "--port", 0), "tokenizer")
    refused(semid("serve", "--tokenizer", tokenizer, "--port", 0, "--host", "no.such"), "no.such")
    other = pl.read_parquet("ids.parquet").with_columns(tokenizer=pl.lit("another"))
    other.write_parquet("other.parquet")
    serve = ("serve", "--tokenizer", tokenizer, "--port", 0)
    refused(semid(*serve, "--ids", "other.parquet"), "tokenizer another")
    assert not Path("semid.db").exists()
    semid("fit", catalogue, "--out", "tok2", *SMALL)
    from service.registry import Registry, open_database

    Registry(open_database("sqlite:///semid.db"), "somebody else's", 3).database.close()
    refused(semid(*serve), "the default tokenizer is somebody else's")


def test_serving_others_takes_keys(semid: Command, tokenizer: Path) -> None:
    serve = ("serve", "--tokenizer", tokenizer, "--port", 0)
    for host in ("0.0.0.0", "::"):
        refused(semid(*serve, "--host", host), f"--host {host}", "semid keys add", "--keys")
    refused(semid("demo", "--out", "d", "--host", "0.0.0.0"), "semid keys add")
    assert not Path("d/items.parquet").exists()
    refused(semid(*serve, "--keys", "none.json"), "none.json does not exist")
    Path("bad.json").write_text('{"keys": [1]}')
    refused(semid(*serve, "--keys", "bad.json"), "bad.json is not a file of API keys")
    refused(semid(*serve, "--cors-origin", "shop.example"), "shop.example is not an origin")
    refused(semid(*serve, "--most-items", 0), "most-items", "given: 0")
    assert not Path("semid.db").exists()


def test_prepare_amazon_writes_its_tables(semid: Command) -> None:
    events = [
        {"reviewerID": f"u{user}", "asin": f"i{item}", "unixReviewTime": 10 - item}
        for user in range(3)
        for item in range(3)
    ]
    items = [{"asin": f"i{item}", "title": f"Soap &amp; {item}"} for item in range(2)]
    Path("r.json").write_text("\n".join(map(json.dumps, events)))
    Path("m.json").write_text("\n".join(map(json.dumps, items)))
    prepare = ("prepare", "amazon", "--reviews", "r.json", "--metadata", "m.json", "--out", "d")
    outcome = semid(*prepare, "--k-core", 3)
    assert "3 users, 2 items, 9 interactions" in outcome.output
    assert "1 items with interactions have no metadata" in outcome.output
    assert pl.read_parquet("d/sequences.parquet").row(0) == ("u0", ["i2"], "i1", "i0")
    assert json.loads(Path("d/prepare.json").read_text())["users"] == 3
    before = Path("d/items.parquet").read_bytes()
    refused(semid(*prepare, "--k-core", 4), "smaller --k-core")
    assert Path("d/items.parquet").read_bytes() == before
    refused(semid(*prepare[:-1], ".", "--k-core", 3), "which this command did not write")
    assert Path("r.json").exists()


def _without_privilege(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `semid` where file permissions hold, which they do not for a plain root."""
    command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_a_read_only_folder_is_named_and_left_alone(catalogue: Path, tokenizer: Path) -> None:
    sealed = catalogue.parent / "sealed"
    sealed.mkdir(mode=0o555)
    outcome = _without_privilege(
        "tokenize", catalogue, "--tokenizer", tokenizer, "--out", sealed / "ids.parquet"
    )
    assert outcome.returncode == 2, outcome.stderr
    assert f"cannot write {sealed}/ids.parquet: Permission denied" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    outcome = _without_privilege("fit", catalogue, "--out", sealed / "deep" / "tok", *SMALL)
    assert outcome.returncode == 2
    assert "Permission denied" in outcome.stderr
    assert list(sealed.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        *("fit", "tune", "embed", "fit-encoder", "tokenize", "similar", "report", "compare"),
        *("ablate", "train", "evaluate", "recommend", "serve", "demo"),
    ],
)
def test_commands_that_compute_take_their_number_of_threads(semid: Command, command: str) -> None:
    assert "--threads" in semid(command, "--help").output
    assert semid(command, "--threads", "-1").code == 2


def test_threads_are_those_that_were_asked_for(
    semid: Command, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("service.cli.terminal.options.use_threads", asked.append)
    done = semid("embed", catalogue, "--encoder", "hashing", "--out", "v.parquet", "--threads", 3)
    assert done.code == 0, done.errors
    assert asked == [3]


def test_serve_uses_the_threads_that_were_asked_for(
    semid: Command, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(count: int) -> None:
        raise InputError(f"{count} threads")

    monkeypatch.setattr("service.cli.terminal.options.use_threads", use)
    done = semid("serve", "--tokenizer", tokenizer, "--threads", 3, "--port", 0)
    assert done.code == 2
    assert "3 threads" in done.errors
