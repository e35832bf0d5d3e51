"""Vectors of your own, such as an image model's: fit, encode, decode, and find neighbours.

Run: python examples/own_vectors.py
"""

import numpy as np
import polars as pl

import semid

# Your model's vectors, (N, D) float32; here 1,000 around 40 centres.
random = np.random.default_rng(0)
centres = random.normal(size=(40, 64))
kinds = random.integers(40, size=1000)
vectors = (centres[kinds] + 0.3 * random.normal(size=(1000, 64))).astype(np.float32)

# The defaults suit ten thousand vectors and more; these sizes suit a thousand and a few seconds.
# Without a network around them codes lose least, and more paths of the search lose less.
tokenizer = semid.Tokenizer(
    levels=3,
    codebook_size=32,
    steps=100,
    options={"network": "identity", "search_beam": 4, "warmup_steps": 0},
)
tokenizer.fit(vectors)

codes = tokenizer.encode(vectors)
lost = (
    np.square(vectors - tokenizer.decode(codes)).sum() / np.square(vectors - vectors.mean(0)).sum()
)
print(f"{vectors.nbytes // 1000} bytes an item became {codes.shape[1]} codes; they lose {lost:.0%}")

# With item ids the vectors become a table of IDs: a column `vector` beside item_id.
items = pl.DataFrame({"item_id": [f"image-{row}" for row in range(1000)], "vector": vectors})
ids = tokenizer.tokenize(items)
near = tokenizer.similar(ids, vector=vectors[0], k=5)
print(near)
same = [kinds[int(item_id.removeprefix("image-"))] == kinds[0] for item_id in near["item_id"]]
print(f"{sum(same)} of 5 neighbours are of the same kind")
