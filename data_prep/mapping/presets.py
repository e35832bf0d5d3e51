"""Exports of well-known programs and data sets: their columns, by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.text import DEFAULT_FIELDS

__all__ = ["PRESETS", "Preset", "recognised"]


@dataclass(frozen=True)
class Preset:
    """A known kind of file.

    Attributes:
        title: its name in messages.
        signs: columns that only this kind of file has all of.
        columns: our field → the first of these columns that the file has.
        text_fields: fields that make an item's text.
    """

    title: str
    signs: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    text_fields: tuple[str, ...] = DEFAULT_FIELDS
    mapping: ColumnMapping = field(default_factory=ColumnMapping)

    def of(self, columns: Sequence[str]) -> ColumnMapping:
        """Return the mapping for a file with these columns."""
        found = {}
        for ours, names in self.columns.items():
            name = next((each for each in names if each in columns), None)
            if name is not None and name != ours:
                found[ours] = name
        return self.mapping.model_copy(update={"columns": found})


PRESETS: dict[str, Preset] = {
    "shopify": Preset(
        "Shopify export",
        ("Handle", "Title", "Body (HTML)", "Vendor"),
        {
            "item_id": ("Handle",),
            "title": ("Title",),
            "brand": ("Vendor",),
            "categories": ("Product Category", "Type", "Standard Product Type"),
            "description": ("Body (HTML)",),
            "price": ("Variant Price", "Price"),
        },
        mapping=ColumnMapping(dedupe="first"),
    ),
    "woocommerce": Preset(
        "WooCommerce export",
        ("ID", "SKU", "Name", "Regular price", "Categories"),
        {
            "item_id": ("ID",),
            "title": ("Name",),
            "brand": ("Brands", "Brand"),
            "categories": ("Categories",),
            "description": ("Description", "Short description"),
            "price": ("Regular price", "Sale price"),
        },
        mapping=ColumnMapping(path_separator=","),
    ),
    "merchant": Preset(
        "Google Merchant feed",
        ("id", "title", "description", "link", "availability"),
        {
            "item_id": ("id",),
            "categories": ("product_type", "product type", "google_product_category",
                           "google product category"),
            "price": ("price",),
        },
    ),
    "movielens": Preset(
        "MovieLens movies",
        ("movieId", "title", "genres"),
        {"item_id": ("movieId",), "categories": ("genres",)},
        ("title", "categories"),
        ColumnMapping(category_separator="|"),
    ),
    "amazon": Preset(
        "Amazon product data",
        ("asin", "title"),
        {
            "item_id": ("asin",),
            "categories": ("categories", "category"),
            "description": ("description", "feature"),
        },
    ),
    "amazon2023": Preset(
        "Amazon Reviews 2023",
        ("parent_asin", "main_category", "title"),
        {"item_id": ("parent_asin",), "brand": ("store",)},
    ),
    "books": Preset(
        "Goodreads-like books",
        ("book_id", "authors", "title"),
        {"item_id": ("book_id",)},
        ("title", "authors", "categories", "description"),
    ),
}  # fmt: skip


def recognised(columns: Sequence[str]) -> str | None:
    """Return the name of the first preset whose signs a file has; None if there is none."""
    return next(
        (name for name, preset in PRESETS.items() if set(preset.signs) <= set(columns)), None
    )
