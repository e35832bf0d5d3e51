"""Files as JDsearch publishes them: TAB fields, lists joined by `_`, terms joined by 0x18.

Products stand in groups of `GROUP` that share three terms of their names, and in shops, which are
the products with the same number modulo `SHOPS`; a shop's terms stand in all its names. A user buys
in one shop alone, from a few groups. A query names a group: which of its products the user takes,
only the history tells. One product in 50 has no metadata.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_prep.readers.jdsearch import BEHAVIOUR, PRODUCTS

__all__ = ["GROUP", "SHOPS", "write_jdsearch"]

GROUP = 40
SHOPS = 8
TERM, LIST = "\x18", "_"
ACTIONS = ("CLICK", "CART", "ORD", "FLW")


def write_jdsearch(
    folder: Path, items: int = 2000, users: int = 300, events: int = 12, seed: int = 0
) -> tuple[Path, Path]:
    """Write both files, and return the behaviour's and the products' path.

    Args:
        events: mean length of a history; half of them to one and a half.
    """
    folder.mkdir(parents=True, exist_ok=True)
    behaviour, products = folder / "user_behavior_data.txt", folder / "product_meta_data.txt"
    draw = np.random.default_rng(seed)
    with products.open("w") as file:
        file.write("\t".join(PRODUCTS) + "\n")
        file.writelines(line + "\n" for line in _products(items, draw))
    with behaviour.open("w") as file:
        file.write("\t".join(BEHAVIOUR) + "\n")
        file.writelines(line + "\n" for line in _users(items, users, events, draw))
    return behaviour, products


def _products(items: int, draw: np.random.Generator) -> Iterator[str]:
    noise = draw.integers(1, 3000, size=(items, 4))
    for item in range(items):
        if item % 50 == 49:
            continue
        group, shop = item // GROUP, item % SHOPS
        own = [f"{10_000_000 + 3 * group + n}" for n in range(3)]
        brand = [f"{5_000_000 + shop * 3 + n}" for n in range(3)]
        name = TERM.join([*brand, *own, *map(str, noise[item])])
        levels = [f"{90 + group % 7}\t{group % 7 + 1}", f"{700 + group % 49}\t{group % 49 + 1}"]
        levels += [f"{8000 + group}\t{20_000_000 + group}{TERM}7"] * 2
        fields = [f"{1000 + item}", name, f"{40 + shop}", TERM.join(brand[:2]), *levels, f"{shop}"]
        yield "\t".join(fields)


def _users(items: int, users: int, events: int, draw: np.random.Generator) -> Iterator[str]:
    groups = items // GROUP
    places = GROUP // SHOPS

    def wid(group: int, shop: int) -> int:
        return 1000 + group * GROUP + int(draw.integers(places)) * SHOPS + shop

    def asked(group: int) -> str:
        return TERM.join(f"{10_000_000 + 3 * group + n}" for n in range(3))

    for _ in range(users):
        shop, liked = int(draw.integers(SHOPS)), draw.integers(groups, size=4)
        length = int(draw.integers(events // 2, events + events // 2 + 1))
        chosen = liked[draw.integers(4, size=length + 1)].tolist()
        history = [wid(group, shop) for group in chosen[:-1]]
        queries = [asked(group) if draw.random() < 0.7 else "-1" for group in chosen[:-1]]
        last = chosen[-1]
        shown = [1000 + last * GROUP + place for place in draw.permutation(GROUP)[:20]]
        labels = [3.0 * ((each - 1000) % SHOPS == shop) for each in shown]
        times = [0, *draw.integers(1, 100_000, size=length).tolist()]
        yield "\t".join(
            LIST.join(map(str, part))
            for part in (
                [asked(last)],
                shown,
                labels,
                queries,
                history,
                [ACTIONS[n] for n in draw.integers(4, size=length)],
                times,
            )
        )
