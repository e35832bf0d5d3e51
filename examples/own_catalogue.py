"""A catalogue of your own: read it, fit a tokenizer, give every item its ID, let it grow.

Run: python examples/own_catalogue.py
"""

import tempfile
from pathlib import Path

import polars as pl

import semid
from data_prep.demo import demo_items

folder = Path(tempfile.mkdtemp())

# Your shop's export; here a generated one. `sku` and `name` are what this shop calls them.
generated = demo_items(400).with_columns(pl.col("categories").list.join(" > "))
generated.rename({"item_id": "sku", "title": "name"}).write_csv(folder / "products.csv")

columns = {"item_id": "sku", "title": "name"}
items = semid.read_items(folder / "products.csv", columns=columns, category_separator=">")

# For a real catalogue leave these parameters out: the default encoder knows what words mean, and
# the default sizes suit ten thousand items and more. These suit 300 items and a few seconds.
tokenizer = semid.Tokenizer(
    encoder="hashing", levels=3, codebook_size=16, steps=60, options={"warmup_steps": 20}
)
tokenizer.fit(items.head(300))
print(f"held-out error {tokenizer.metrics_['held_out_error']:.2f}")

ids = tokenizer.tokenize(items.head(300))
print(ids.select("item_id", "semantic_id").head(3))

# Items that are alike have IDs that begin alike.
first = ids.row(0, named=True)
print(items.filter(item_id=first["item_id"])["title"][0], "is like")
near = tokenizer.similar(ids, item_id=first["item_id"], k=3).join(
    items, on="item_id", maintain_order="left"
)
print(near.select("semantic_id", "title"))

# The catalogue grows; IDs that were given stay.
grown = tokenizer.tokenize(items, known=ids)
assert grown.head(300).equals(ids)
print(f"{grown.height} IDs, all different: {grown['semantic_id'].is_unique().all()}")

tokenizer.save(folder / "tokenizer")
grown.write_parquet(folder / "ids.parquet")
print(f"semid serve --tokenizer {folder / 'tokenizer'} --ids {folder / 'ids.parquet'} serves them")
