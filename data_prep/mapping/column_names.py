"""Guess which column is which field of an item, by the columns' names and then their content."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl

from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.mapping.presets import PRESETS, recognised
from data_prep.names import check_name
from data_prep.text import DEFAULT_FIELDS

__all__ = ["Guess", "by_name", "guess_mapping", "looks_like_ids", "looks_like_titles", "plain_name"]

# Names without blanks, marks and case; the likelier ones first.
NAMES: dict[str, tuple[str, ...]] = {
    "item_id": (
        "itemid", "productid", "sku", "articleid", "asin", "movieid", "bookid", "showid", "trackid",
        "stockcode", "productcode", "itemcode", "handle", "gtin", "ean", "upc", "barcode", "isbn13",
        "isbn", "id", "uniqid", "code", "artikelnummer", "artikelnr", "artnr", "nr", "referencia",
        "reference", "ref", "商品id", "商品コード", "品番",
    ),
    "title": (
        "title", "name", "productname", "producttitle", "itemname", "itemtitle", "displayname",
        "booktitle", "movietitle", "originaltitle", "movie", "film", "book", "product", "item",
        "titel", "bezeichnung", "artikel", "produktname", "artikelname", "nom", "titre", "libelle",
        "nombre", "titulo", "nome", "titolo", "наименование", "название", "商品名", "名前", "品名",
        "名称",
    ),
    "brand": (
        "brand", "brands", "brandname", "productbrand", "vendor", "manufacturer", "maker", "marke",
        "hersteller", "marque", "marca", "бренд", "ブランド", "メーカー", "品牌",
    ),
    "categories": (
        "categories", "category", "categorypath", "categoryname", "productcategory", "producttype",
        "googleproductcategory", "genres", "genre", "listedin", "department", "type", "kategorie",
        "kategorien", "categorie", "categoria", "категория", "カテゴリ", "カテゴリー", "类别",
    ),
    "description": (
        "description", "productdescription", "longdescription", "bodyhtml", "body", "overview",
        "summary", "plot", "synopsis", "shortdescription", "details", "desc", "about",
        "ingredients", "beschreibung", "descripcion", "descrizione", "descricao", "описание",
        "説明", "商品説明", "原材料", "原材料名", "描述",
    ),
    "price": (
        "price", "listprice", "regularprice", "variantprice", "unitprice", "saleprice",
        "retailprice", "preis", "prix", "precio", "prezzo", "preco", "цена", "価格", "价格",
    ),
}  # fmt: skip
# Fields that the first word of a longer name tells, as Prix TTC or Description longue; but not if
# one of these words follows.
FIRST_WORDS = ("brand", "description", "price")
OF_SOMETHING_ELSE = frozenset(
    ("id", "code", "currency", "url", "link", "image", "date", "count", "unit", "type", "language")
)
# Columns of people, which belong to the text under their own names.
PEOPLE = ("authors", "author", "artists", "artist", "director")
ROWS = 5000  # of which the content is looked at


class Guess:
    """A guessed mapping.

    Attributes:
        preset: name of the preset; None where the columns' names were read.
        mapping: as a file of these columns is read.
        text_fields: fields that make an item's text.
    """

    def __init__(
        self, preset: str | None, mapping: ColumnMapping, text_fields: tuple[str, ...]
    ) -> None:
        self.preset, self.mapping, self.text_fields = preset, mapping, text_fields


def guess_mapping(columns: Sequence[str], preset: str = "") -> Guess:
    """Guess the mapping of a file with these columns.

    A field that the file has by its own name is that column. Columns that no name tells are not
    used.

    Args:
        preset: name of the file's kind; empty to recognise it.

    Raises:
        InputError: there is no such preset.
    """
    if preset:
        check_name("preset", preset, PRESETS)
    found = preset or (None if "item_id" in columns else recognised(columns))
    if found is not None:
        chosen = PRESETS[found]
        return Guess(found, chosen.of(columns), chosen.text_fields)
    people = tuple(name for name in columns if plain_name(name) in PEOPLE)
    fields = (DEFAULT_FIELDS[0], *people, *DEFAULT_FIELDS[1:])
    return Guess(None, ColumnMapping(columns=by_name(columns)), fields)


def by_name(columns: Sequence[str]) -> dict[str, str]:
    """Return our field → the file's column, for fields that another name tells."""
    plain: dict[str, str] = {}
    for name in columns:
        plain.setdefault(plain_name(name), name)
    for name in columns:  # ingredients_200 is ingredients
        plain.setdefault(plain_name(name).rstrip("0123456789"), name)
    found: dict[str, str] = {}
    used = {name for name in NAMES if name in columns}
    for ours, names in NAMES.items():
        if ours in columns:
            continue
        for name in names:
            column = plain.get(plain_name(name))
            if column is not None and column not in used:
                found[ours] = column
                used.add(column)
                break
    found |= _by_first_word(columns, {*columns, *found}, used)
    if "title" not in found and "title" not in columns and "description" in found:
        found["title"] = found.pop("description")
    if "title" not in found and "title" not in columns and "description" in columns:
        found["title"] = "description"
    return found


def _by_first_word(
    columns: Sequence[str], named: Collection[str], used: Collection[str]
) -> dict[str, str]:
    """Return columns whose first word is a field's name, for fields that are not named yet."""
    found = {}
    for ours in FIRST_WORDS:
        left = (name for name in columns if name not in used and _begins(name, NAMES[ours]))
        if ours not in named and (column := next(left, None)) is not None:
            found[ours] = column
    return found


def _begins(name: str, words: Sequence[str]) -> bool:
    """Return whether the first of several words of a column's name is one of these."""
    first, *rest = [plain_name(part) for part in re.split(r"[\W_]+", name) if part] or [""]
    return first in words and bool(rest) and OF_SOMETHING_ELSE.isdisjoint(rest)


def looks_like_ids(frame: pl.DataFrame) -> str | None:
    """Return the first column whose values are short, never empty and never repeated."""
    for column in _texts(frame):
        if column.null_count() or column.n_unique() != len(column):
            continue
        if int(column.str.len_chars().to_numpy().max(initial=0)) <= 64:
            return column.name
    return None


def looks_like_titles(frame: pl.DataFrame, without: Sequence[str] = ()) -> str | None:
    """Return the column whose values look most like names of things; None if there is none."""
    best, most = None, 0.3
    for column in _texts(frame):
        if column.name in without or not len(column):
            continue
        given = column.drop_nulls()
        worded = given.str.contains(r"\p{L}{2}") & ~given.str.contains(
            r"^https?://|@|^[\d\s:./-]+$"
        )
        lengths = given.str.len_chars().to_numpy()
        if not len(lengths) or not 4 <= float(np.median(lengths)) <= 300:
            continue
        score = float(worded.to_numpy().sum()) * given.n_unique() / len(column) ** 2
        if score > most:
            best, most = column.name, score
    return best


def _texts(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """Yield the columns of texts and whole numbers, as texts, without their later rows."""
    for column in frame.head(ROWS).get_columns():
        if column.dtype == pl.String:
            yield column
        elif column.dtype.is_integer():
            yield column.cast(pl.String)


def plain_name(name: str) -> str:
    """Return a column's name without case, accents, blanks and signs."""
    parts = unicodedata.normalize("NFKD", name).casefold()
    return unicodedata.normalize("NFC", "".join(part for part in parts if part.isalnum()))
