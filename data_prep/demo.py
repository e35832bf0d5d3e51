"""A generated catalogue with shoppers, so that the first run needs no download.

Items are products of several kinds, makes and variants, with titles, brands, category paths and
descriptions. Shoppers have favourite kinds and brands, and buy what goes with their earlier
purchases. A seed determines the catalogue.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_prep.tables import INTERACTIONS, ITEMS, check_interactions, check_items

__all__ = ["demo_interactions", "demo_items"]

FIRST_DAY = 1_700_006_400  # 2023-11-15, seconds UTC
DAY = 86_400


@dataclass(frozen=True)
class Kind:
    """A kind of product: the names of its items, their variants, and the kinds that go with it."""

    name: str
    path: tuple[str, str, str]
    variants: tuple[str, ...]
    sizes: tuple[str, ...]
    traits: tuple[str, ...]
    use: str
    price: float
    goes_with: tuple[str, ...]


BRANDS = {
    "Outdoors": ("Northfell", "Alderpeak", "Trailmark", "Cairnway", "Brae & Ridge"),
    "Beauty": ("Avila", "Rosemond", "Lumenskin", "Petal & Moss", "Verane"),
    "Kitchen": ("Hearthstone", "Brasserie No. 9", "Calder", "Umami Works", "Millrace"),
    "Toys": ("Pockletoy", "Larkspur Games", "Tumbledown", "Brightwood", "Noodlebox"),
    "Electronics": ("Voltera", "Sonarq", "Pixelbay", "Kite Audio", "Ohmline"),
    "Home": ("Linden House", "Softfold", "Quiet Room", "Papermill", "Oakley & Finch"),
    "Garden": ("Greenthumb", "Thistle & Fern", "Meadowcraft", "Potting Shed", "Rootwell"),
    "Pets": ("Wagtail", "Whisker Lane", "Good Hound", "Pawsome", "Tailored"),
}


def _kinds() -> list[Kind]:
    table = pl.read_csv(Path(__file__).with_name("demo_kinds.tsv"), separator="\t")
    return [
        Kind(
            name=row["name"],
            path=(row["department"], row["group"], row["shelf"]),
            variants=tuple(row["variants"].split("|")),
            sizes=tuple(row["sizes"].split("|")),
            traits=tuple(row["traits"].split("|")),
            use=row["use"],
            price=float(row["price"]),
            goes_with=tuple(row["goes_with"].split("|")),
        )
        for row in table.iter_rows(named=True)
    ]


def demo_items(count: int = 4000, seed: int = 0) -> pl.DataFrame:
    """Generate `count` distinct items in the Items schema, the same in every run.

    Raises:
        ValueError: more items than there are combinations (about 17,000).
    """
    chooser = random.Random(seed)
    choices = [
        (kind, brand, variant, size, trait)
        for kind in _kinds()
        for brand in BRANDS[kind.path[0]]
        for variant in kind.variants
        for size in kind.sizes
        for trait in kind.traits
    ]
    rows = []
    for number, (kind, brand, variant, size, trait) in enumerate(chooser.sample(choices, count)):
        second = chooser.choice([other for other in kind.traits if other != trait])
        rows.append(
            {
                "item_id": f"D{number:05d}",
                "title": f"{brand} {variant} {kind.name}, {size}, {trait}",
                "brand": brand,
                "description": _description(kind, variant, size, trait, second),
                "categories": list(kind.path),
                "price": round(kind.price * chooser.uniform(0.6, 1.6), 2),
            }
        )
    return check_items(pl.DataFrame(rows, schema=ITEMS), "the demo catalogue")


def demo_interactions(items: pl.DataFrame, shoppers: int = 2500, seed: int = 0) -> pl.DataFrame:
    """Generate purchases of `demo_items` by `shoppers` with habits, the same in every run.

    A shopper has two or three favourite kinds and one favourite brand a department, and buys 5 to
    20 things: one that goes with the last purchase, one of a favourite kind, or rarely any other.
    """
    chooser = random.Random(seed + 1)
    kinds = {kind.path: kind for kind in _kinds()}
    by_kind: dict[str, list[tuple[str, str]]] = {kind.name: [] for kind in kinds.values()}
    kind_of: dict[str, Kind] = {}
    for item_id, brand, path in items.select("item_id", "brand", "categories").iter_rows():
        kind_of[item_id] = kinds[tuple(path)]
        by_kind[kind_of[item_id].name].append((item_id, brand))
    stocked = [name for name, stock in by_kind.items() if stock]
    rows = []
    for shopper in range(shoppers):
        favourites = chooser.sample(stocked, min(len(stocked), chooser.choice((2, 3))))
        loyal_to = {chooser.choice(brands) for brands in BRANDS.values()}
        day, last = chooser.randrange(200), ""
        owned: set[str] = set()
        for _ in range(chooser.randint(5, 20)):
            goes_with = [k for k in kind_of[last].goes_with if by_kind[k]] if last else []
            draw = chooser.random()
            if goes_with and draw < 0.5:
                name = chooser.choice(goes_with)
            else:
                name = chooser.choice(favourites if draw < 0.95 else stocked)
            last = _buy(by_kind[name], loyal_to, owned, chooser)
            owned.add(last)
            rows.append((f"S{shopper:05d}", last, FIRST_DAY + day * DAY, "purchase"))
            day += chooser.choice((0, 1, 3, 7, 14, 30))
    columns = ["user_id", "item_id", "timestamp", "event"]
    frame = pl.DataFrame(rows, schema={name: INTERACTIONS[name] for name in columns}, orient="row")
    return check_interactions(frame, "the demo interactions")


def _description(kind: Kind, variant: str, size: str, trait: str, second: str) -> str:
    article = "An" if variant[0] in "AEIOU" else "A"
    return (
        f"{article} {variant.lower()} {kind.name.lower()} for {kind.use}. {trait.capitalize()} and "
        f"{second}; size {size}."
    )


def _buy(
    stock: Sequence[tuple[str, str]], loyal_to: set[str], owned: set[str], chooser: random.Random
) -> str:
    new = [(item, brand) for item, brand in stock if item not in owned] or list(stock)
    preferred = [item for item, brand in new if brand in loyal_to]
    if preferred and chooser.random() < 0.8:
        return chooser.choice(preferred)
    return chooser.choice(new)[0]
