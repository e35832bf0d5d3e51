"""The rows of a comparison: configurations by name, and their table as text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_prep.markdown import markdown_table
from data_prep.names import check_name
from tokenizer.config import FitConfig
from tokenizer.options import check_training, fitted_to_size, options_for, with_options
from tokenizer.quantizers import QUANTIZERS
from tokenizer.study.comparison import COLUMNS

__all__ = ["configurations", "markdown", "quantizer_rows"]

Changes = Mapping[str, object]


def quantizer_rows(names: Iterable[str]) -> dict[str, Changes]:
    """Return a row for each quantizer; `all` means all that differ.

    Raises:
        InputError: a quantizer is unknown.
    """
    named = list(names)
    if named == ["all"]:
        named = sorted(set(QUANTIZERS) - {"rqvae"})  # rqvae equals ste; the name is TIGER's
    rows: dict[str, Changes] = {}
    for name in named:
        check_name("quantizer", name, QUANTIZERS)
        # Those that do not choose codes by distance have no beam.
        greedy = {} if QUANTIZERS[name].by_distance else {"search_beam": 1}
        rows[name] = {"quantizer": name, **greedy}
    return rows


def configurations(rows: Mapping[str, Changes], shared: Changes) -> dict[str, FitConfig]:
    """Return each row's configuration.

    Args:
        rows: what each row changes, by the row's name.
        shared: options that apply to every row that has them and does not change them itself.

    Raises:
        InputError: an option is unknown, or a configuration cannot be built.
    """
    usual = FitConfig().quantizer.name
    configs = {}
    for name, changes in rows.items():
        quantizer = str(changes.get("quantizer", shared.get("quantizer", usual)))
        options = options_for(quantizer, shared) | dict(changes)
        configs[name] = fitted_to_size(with_options(FitConfig(), options))
        check_training(configs[name])
    return configs


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of a comparison; the best figure of a column is bold.

    Rows with fewer seeds than the first have no bold figures: other seeds hold out other items.
    Among the errors only the validation error has a bold figure: it selects and sorts the rows. p
    is the corrected p-value of the hypothesis that the held-out errors are equal.
    """
    headings = [column.heading for column in COLUMNS]
    headings.insert(2, "p against the first (Holm)")
    lines = []
    alike = [row for row in rows if row["seeds"] == rows[0]["seeds"]]
    for row in rows:
        cells = [row["name"]]
        for column in COLUMNS:
            mean, spread = row[column.key]["mean"], row[column.key]["std"]
            cell = f"{mean:{column.form}}"
            if spread is not None and column.key != "parameters":
                cell += f" ± {spread:{column.form}}"
            means = (other[column.key]["mean"] for other in alike)
            best = row in alike and column.best is not None and mean == column.best(means)
            cells.append(f"**{cell}**" if best else cell)
        p = row["held_out_p_holm"]
        cells.insert(3, "" if p is None else f"{p:.2g}")
        lines.append(cells)
    return markdown_table(["", *headings], lines)
