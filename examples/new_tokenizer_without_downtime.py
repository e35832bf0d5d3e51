"""A new tokenizer for a running service: fill it beside the old one, promote it, switch back.

Run: python examples/new_tokenizer_without_downtime.py
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import semid
from data_prep.demo import demo_items

folder = Path(tempfile.mkdtemp())
os.environ["SEMID_SERVE_DATABASE"] = f"sqlite:///{folder / 'semid.db'}"
command = [sys.executable, "-m", "service.cli"]  # `semid`, of this very environment


@contextmanager
def serving(*tokenizers: Path) -> Iterator[str]:
    """Run `semid serve` on a free port and yield its address."""
    held = [part for tokenizer in tokenizers for part in ("--tokenizer", str(tokenizer))]
    log = folder / f"serve-{len(tokenizers)}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", *held], stderr=file, stdout=file
        )
    try:
        while not (found := re.search(r"answers at (http://\S+)", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.1)
        yield found[1]
    finally:
        process.terminate()
        process.wait()


items = demo_items(300)
rows = items.to_dicts()
# Parameters for a few seconds; leave them out for a real catalogue.
quick = {"encoder": "hashing", "codebook_size": 16, "steps": 40, "options": {"warmup_steps": 20}}
old = semid.Tokenizer(levels=3, **quick).fit(items)
old.save(folder / "old")
new = semid.Tokenizer(levels=4, **quick).fit(items)
new.save(folder / "new")

with serving(folder / "old") as address, semid.Client(address) as client:
    client.tokenize(rows)
    print("with the old tokenizer", client.item(rows[0]["item_id"]))

    # 1. Beside it, on the same database, a service that holds both. Requests still mean the old
    #    one. A proxy sends them to the second service, and the first one stops.
    with serving(folder / "old", folder / "new") as second:
        # 2. Give every item an ID by the new tokenizer, too.
        with semid.Client(second, tokenizer=new.fingerprint_) as filling:
            failed = [answer for answer in filling.bulk(rows) if not hasattr(answer, "semantic_id")]
        print(f"{len(rows) - len(failed)} items have an ID by the new tokenizer")

        with semid.Client(second) as client_of_both:
            # 3. What was built on the old IDs, such as a recommender, goes over by this map.
            pairs = client_of_both.id_map(old.fingerprint_, new.fingerprint_)
            print("from", old.fingerprint_[:8], "to", new.fingerprint_[:8], next(iter(pairs)))

            # 4. From now on requests mean the new one: no restart, no request lost.
            subprocess.run([*command, "promote", new.fingerprint_], check=True)
            while client_of_both.tokenizer().fingerprint != new.fingerprint_:
                time.sleep(0.1)  # services look for a new default about once a second
            print("by default now", client_of_both.item(rows[0]["item_id"]))

            # 5. To switch back, promote the old one.
            subprocess.run([*command, "promote", old.fingerprint_], check=True)
