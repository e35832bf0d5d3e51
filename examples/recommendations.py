"""Recommendations end to end: catalogue and purchases → IDs → a recommender → the next items.

Run: python examples/recommendations.py
"""

import tempfile
from pathlib import Path

import semid
from data_prep.demo import demo_interactions, demo_items

# Your catalogue, and your purchases: user_id, item_id, timestamp. Here generated ones.
items = demo_items(400)
purchases = demo_interactions(items, shoppers=400)

# Parameters for a few seconds; leave them out for a real catalogue.
tokenizer = semid.Tokenizer(
    encoder="hashing", levels=3, codebook_size=32, steps=60, options={"warmup_steps": 20}
)
ids = tokenizer.fit(items).tokenize(items)

# preset "quick" or "paper" for real data; "smoke" is for seconds.
recommender = semid.Recommender(preset="smoke")
recommender.fit(purchases, ids, tokenizer=tokenizer)
print(recommender.evaluate(purchases).filter(metric="recall@10"))

folder = Path(tempfile.mkdtemp()) / "recommender"
recommender.save(folder)

# Later, in another program.
loaded = semid.Recommender.load(folder)
history = purchases.filter(user_id="S00000").sort("timestamp")["item_id"].to_list()
titles = items.select("item_id", "title")
print("after", titles.filter(item_id=history[-1])["title"][0])
found = loaded.recommend([history], k=5)
print(found.join(titles, on="item_id", maintain_order="left").select("rank", "title"))
