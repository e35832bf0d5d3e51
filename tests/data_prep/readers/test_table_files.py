"""Encodings, separators and quotes: what is read, and what is refused by its place."""

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.input_files import standard_input
from data_prep.readers.table_files import read_table, read_table_file

ROWS = [{"item_id": "1", "title": "Käse"}, {"item_id": "2", "title": "Crème brûlée – 5 €"}]
TEXT = "item_id{0}title\n1{0}Käse\n2{0}Crème brûlée – 5 €\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_encoding_and_separator_are_found(tmp_path: Path, encoding: str, mark: str) -> None:
    path = tmp_path / "i.csv"
    path.write_bytes(TEXT.format(mark).replace("\n", "\r\n").encode(encoding))
    assert read_table(path).to_dicts() == ROWS
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.with_suffix(".gz").rename(tmp_path / "j.csv.gz")
    assert read_table(tmp_path / "j.csv.gz").to_dicts() == ROWS


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis"])
def test_other_scripts_are_found_or_named(tmp_path: Path, encoding: str) -> None:
    text = {
        "cp1251": "Молоко пастеризованное и сметана",
        "shift_jis": "有機抹茶パウダーと北海道バター飴",
    }
    rows = "".join(f"{n},{text[encoding]} {n}\n" for n in range(40))
    path = tmp_path / "i.csv"
    path.write_bytes(f"item_id,title\n{rows}".encode(encoding))
    assert read_table_file(path).frame["title"][3] == f"{text[encoding]} 3"
    assert read_table_file(path, encoding).frame["title"][3] == f"{text[encoding]} 3"


def test_what_is_said_of_encoding_and_separator_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_bytes("item_id;title,x\n1;Käse,y\n".encode("latin-1"))
    found = read_table_file(path, "latin-1", "comma")
    assert found.frame.columns == ["item_id;title", "x"]
    assert found.described == "CSV, iso8859-1, separator comma"
    for wrong, said in (
        ({"encoding": "utf-9"}, "no such encoding"),
        ({"separator": "ab"}, "one char"),
    ):
        with pytest.raises(InputError, match=said):
            read_table_file(path, **wrong)
    with pytest.raises(InputError, match="not utf-8"):
        read_table_file(path, "utf-8")
    path.write_bytes(b"item_id,title\n1,\x00\x01\x81\x8d\n")
    with pytest.raises(InputError, match="no encoding fits"):
        read_table_file(path)


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ('item_id,title\n1,11\'09"01\n2,"a ""b"""\n', ["11'09\"01", 'a "b"']),
        ('item_id,title\n1,"Cup" blue\n2,b\n', ["Cup blue", "b"]),
        ('item_id,title\n1,"one\ntwo"\n2,b\n', ["one\ntwo", "b"]),
        # Two inches on two lines are no field of two lines.
        ('item_id,title\n1,"5 inch\n2,6 inch"\n3,c\n', ['"5 inch', '6 inch"', "c"]),
        ('item_id\ttitle\n1\t"open\n2\tb\n', ['"open', "b"]),
    ],
)
def test_quotes_are_read_as_people_write_them(tmp_path: Path, text: str, titles: list[str]) -> None:
    path = tmp_path / ("i.tsv" if "\t" in text else "i.csv")
    path.write_text(text)
    assert read_table(path)["title"].to_list() == titles


def test_a_quote_that_never_closes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_text('item_id,title\n1,a\n2,"b\n3,c\n')
    with pytest.raises(InputError, match="line 3: not CSV"):
        read_table(path)


def test_columns_without_a_name_are_counted(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text(", title ,\n0,a,x\n")
    assert read_table(tmp_path / "i.csv").columns == ["column 1", "title", "column 3"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("i.json", json.dumps(ROWS)),
        ("i.json", json.dumps({"shop": "x", "products": ROWS}, indent=2)),
        ("i.json", "\n".join(map(json.dumps, ROWS))),
        ("i.jsonl", json.dumps(ROWS, indent=1)),
        ("i.ndjson", "\n".join(map(json.dumps, ROWS))),
    ],
)
def test_json_of_every_form_is_read(tmp_path: Path, name: str, content: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert read_table(tmp_path / name).to_dicts() == ROWS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "is empty"),
        ("[1]", "row 1: an object"),
        ('[{"item_id": 1}, 2]', "row 2: an object"),
        ('[{"item_id": 1}', "not JSON"),
        ("7", "line 1: an object"),
    ],
)
def test_json_that_is_no_catalogue_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "i.json").write_text(content)
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / "i.json")


class _Input:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("content", [TEXT.format(";"), json.dumps(ROWS), json.dumps(ROWS[0])])
def test_standard_input_is_a_file(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input._spooled.cache_clear()
    monkeypatch.setattr(sys, "stdin", _Input(content.encode()))
    for _ in range(2):
        assert read_table(Path("-")).to_dicts() == ROWS[: 1 if content[0] == "{" else 2]
    standard_input._spooled.cache_clear()


def test_the_first_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    path = tmp_path / "i.xlsx"
    _workbook(path, [["item_id", "title", "size"], [1, "Käse", 2.5], [None] * 3, ["007", "Tee", 3]])
    found = read_table_file(path)
    assert found.frame.to_dicts() == [
        {"item_id": "1", "title": "Käse", "size": "2.5"},
        {"item_id": "007", "title": "Tee", "size": "3"},
    ]
    assert found.lines == [2, 4]
    _workbook(path, [["item_id", "title"]])
    with pytest.raises(InputError, match="has no rows"):
        read_table(path)


def _workbook(path: Path, rows: list[list[object]]) -> None:
    """Write the least workbook that programs read."""
    lines = (
        "".join(_cell(f"{chr(65 + column)}{at}", each) for column, each in enumerate(row))
        for at, row in enumerate(rows, start=1)
    )
    cells = "".join(f'<row r="{at}">{line}</row>' for at, line in enumerate(lines, start=1))
    schemas = "http://schemas.openxmlformats.org"
    main, office = f"{schemas}/spreadsheetml/2006/main", f"{schemas}/officeDocument/2006"
    types, links = f"{schemas}/package/2006/content-types", f"{schemas}/package/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sheet.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{links}"><Relationship Id="r" '
        f'Type="{office}/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}/relationships"><sheets>'
        f'<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{links}"><Relationship Id="r1" '
        f'Type="{office}/relationships/worksheet" Target="sheet.xml"/></Relationships>',
        "xl/sheet.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')


def _cell(place: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
