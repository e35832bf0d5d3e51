"""Excel workbooks → tables of texts, with the line number of each row."""

from pathlib import Path

import polars as pl

from data_prep.errors import InputError

__all__ = ["ENDINGS", "read_workbook"]

ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read_workbook(path: Path) -> tuple[pl.DataFrame, list[int]]:
    """Read the first sheet of a workbook; its first row names the columns.

    Whole numbers become texts without a fraction: a workbook has no other numbers than floats.

    Returns:
        The table, without empty rows, and the line of each row in the sheet.

    Raises:
        InputError: fastexcel is not installed, or the file is no workbook or has no rows.
    """
    try:
        import fastexcel
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: reading a workbook needs fastexcel; pip install 'semid[excel]', or save the "
            f"sheet as CSV"
        ) from error
    try:
        book = fastexcel.read_excel(path)
        sheet = book.load_sheet(0, header_row=0, dtypes="string")
        frame = sheet.to_polars()
    except fastexcel.FastExcelError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is not a readable workbook: {reason}") from error
    frame = frame.select(pl.all().cast(pl.String).replace("", None)).with_row_index("", offset=2)
    kept = frame.filter(~pl.all_horizontal(pl.exclude("").is_null()))
    if kept.is_empty():
        raise InputError(f"{path}: the first sheet has no rows; put the catalogue on it")
    return kept.drop(""), kept[""].to_list()
