"""Training steps of TIGER and of Hugging Face's T5 with the same shape, batches and data."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from data_prep.demo import demo_interactions, demo_items
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.data.preparation import prepare_dataset
from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.generation.valid_ids.vocabulary import PADDING
from tests.bench.measure import interleaved_seconds
from tests.recsys.generation.t5 import t5_of

__all__ = ["tiger_training"]

BATCH_ON_CPU, BATCH_ON_GPU = 128, 256
STEPS_ON_GPU = 20  # between two synchronizations
LEVELS, CODES = 4, 256
ITEMS, SHOPPERS = 5000, 2000


def tiger_training() -> dict[str, Any]:
    """Return steps/s of both, in float32 on a CPU and bfloat16 on a GPU, with AdamW and dropout.

    `shoppers` is a batch of prefixes of generated shoppers, whose histories differ in length as
    real ones do; T5 gets the padding with a mask. `full` is a batch without padding. On a GPU,
    `busy` is the share of the time in which one of TIGER's kernels runs.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    data = _data()
    torch.manual_seed(0)
    model = TigerRecommender(TigerRecommenderConfig(), data).to(device).train()
    oracle: Any = t5_of(model.config, model.vocabulary.size, "sdpa", model.config.dropout)
    oracle.to(device).train()
    found: dict[str, Any] = {"on_a_gpu": float(gpu), "batch": BATCH_ON_GPU if gpu else BATCH_ON_CPU}
    for name, examples in _batches(model.examples(data), found["batch"]).items():
        history, target = _tokens(model, examples.to(device))
        mine = _steps(model, examples.to(device))
        theirs = _steps(
            oracle,
            input_ids=history,
            attention_mask=(history != PADDING).long(),
            labels=target,
        )
        seconds = interleaved_seconds({"tiger": mine, "t5": theirs}, rounds=3, repeats=1)
        steps = STEPS_ON_GPU if gpu else 1
        found |= {
            f"{name}_padding": float((history == PADDING).float().mean()),
            f"{name}_steps_per_second": steps / seconds["tiger"],
            f"{name}_hugging_face_steps_per_second": steps / seconds["t5"],
            f"{name}_ratio": seconds["t5"] / seconds["tiger"],
        }
        if gpu:
            found[f"{name}_busy"] = _kernel_seconds(mine) / seconds["tiger"]
    return found


def _data() -> SequenceDataset:
    items = demo_items(ITEMS)
    drawn = np.random.default_rng(0).integers(0, CODES, (2 * ITEMS, LEVELS))
    codes = np.random.default_rng(1).permutation(np.unique(drawn, axis=0))[:ITEMS]
    data = prepare_dataset(demo_interactions(items, SHOPPERS), items)
    return replace(data, codes=codes.astype(np.uint16), codebook_size=CODES)


def _batches(examples: Tensor, size: int) -> dict[str, Tensor]:
    """Return a batch as in training, and a batch of histories of the greatest length."""
    lengths = (examples != NO_ITEM).sum(1)
    dealt = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    longest = (lengths == lengths.max()).nonzero().squeeze(1)
    chosen = {"shoppers": dealt[:size], "full": longest.repeat(size)[:size]}
    return {name: examples[rows][:, : lengths[rows].max()] for name, rows in chosen.items()}


def _tokens(model: TigerRecommender, examples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tokens of histories and of targets."""
    last = (examples != NO_ITEM).sum(1, keepdim=True) - 1
    histories = examples.scatter(1, last, NO_ITEM)[:, :-1]
    return model.tokens[histories].flatten(1), model.tokens[examples.gather(1, last)[:, 0]]


def _steps(model: nn.Module, *inputs: Tensor, **named: Tensor) -> Callable[[], None]:
    """Return a function that makes one training step on a CPU, `STEPS_ON_GPU` on a GPU."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    device = next(model.parameters()).device.type

    def run() -> None:
        for _ in range(STEPS_ON_GPU if device == "cuda" else 1):
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                found = model(*inputs, **named)
                loss = found if isinstance(found, Tensor) else found.loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _kernel_seconds(work: Callable[[], None]) -> float:
    with profile(activities=[ProfilerActivity.CUDA]) as measured:
        work()
    kernels: list[float] = [event.self_device_time_total for event in measured.key_averages()]
    return sum(kernels) / 1e6


if __name__ == "__main__":
    print(json.dumps(tiger_training(), indent=2))
