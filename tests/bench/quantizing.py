"""Training and encoding speed of the residual stack, vector-quantize-pytorch and FAISS."""

import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor

from tests.bench.measure import best_seconds, interleaved_seconds
from tokenizer.config import AutoencoderConfig, FitConfig, QuantizerConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import GritConfig, VqConfig
from tokenizer.quantizers import QUANTIZERS
from tokenizer.training.loop import training_loss

__all__ = ["encoding", "training_steps"]

BATCH = 1024
WIDTH = 32
VECTOR = 384
ROWS = 65_536
NARROW = AutoencoderConfig(network="mlp", hidden=(512, 256, 128), latent=WIDTH, dropout=0.0)
GREEDY: dict[str, Any] = {"search_beam": 1, "crowded_choices": 1}


def _stack(config: QuantizerConfig) -> ResidualQuantizer:
    stack = ResidualQuantizer([QUANTIZERS[config.name](config, WIDTH) for _ in range(4)])
    stack.start_from(torch.randn(4096, WIDTH), torch.Generator().manual_seed(0))
    return stack


def _stack_step(config: QuantizerConfig) -> Callable[[], None]:
    """One step of the residual stack alone: forward, backward, optimizer, safeguards."""
    stack = _stack(config).train()
    z = torch.randn(BATCH, WIDTH, requires_grad=True)
    optimizer = torch.optim.AdamW([*stack.parameters()], lr=1e-4, fused=True)

    def step() -> None:
        output = stack(z)
        optimizer.zero_grad()
        (output.quantized.square().mean() + output.loss).backward()
        optimizer.step()
        stack.after_step(0.5)

    return step


def _whole_step(config: QuantizerConfig) -> Callable[[], None]:
    """One training step of `semid fit`: network, stack, separation, optimizer."""
    training = FitConfig(quantizer=config, autoencoder=NARROW)
    model = Autoencoder(VECTOR, training.autoencoder, config)
    x = torch.randn(BATCH, VECTOR)
    model.quantizer.start_from(torch.randn(4096, WIDTH), torch.Generator().manual_seed(0))
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss = training_loss(model, x, x.flip(0), quantize=True, config=training)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.quantizer.after_step(0.5)

    return step


def _peer(size: int) -> Any:
    """Return vector-quantize-pytorch's ResidualVQ of the same shape, with its defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vector_quantize_pytorch import ResidualVQ
    return ResidualVQ(dim=WIDTH, num_quantizers=4, codebook_size=size)


def _peer_step(size: int) -> Callable[[], None]:
    peer = _peer(size).train()
    z = torch.randn(1, BATCH, WIDTH, requires_grad=True)

    def step() -> None:
        quantized, _, loss = peer(z)
        (
            quantized.square().mean() + loss.sum()
        ).backward()  # its codebooks move in the forward pass

    return step


def training_steps() -> dict[str, Any]:
    """Return milliseconds a step at batch 1,024, d = 32, L = 4, K = 256, and at K = 16,384."""
    result: dict[str, Any] = {"batch": BATCH, "latent": WIDTH, "levels": 4}
    grit, ste = GritConfig(**GREEDY), VqConfig("ste", **GREEDY)
    seconds = interleaved_seconds(
        {
            "stack_ste": _stack_step(ste),
            "stack_grit": _stack_step(grit),
            "stack_vector_quantize_pytorch": _peer_step(256),
            "whole_ste": _whole_step(ste),
            "whole_grit": _whole_step(grit),
        }
    )
    large_ste = replace(ste, codebook_size=16_384, start="random")
    large_grit = replace(grit, codebook_size=16_384, start="random", reset_below=0.0)
    seconds |= interleaved_seconds(
        {
            "large_ste": _stack_step(large_ste),
            "large_grit": _stack_step(large_grit),
            "large_grit_refresh_8": _stack_step(replace(large_grit, refresh_every=8)),
        },
        rounds=3,
        repeats=3,
    )
    result |= {f"{name}_milliseconds": value * 1e3 for name, value in seconds.items()}
    for name, one, other in (
        ("whole_grit_to_ste", "whole_grit", "whole_ste"),
        ("stack_grit_to_ste", "stack_grit", "stack_ste"),
        ("stack_grit_to_peer", "stack_grit", "stack_vector_quantize_pytorch"),
        ("large_grit_to_ste", "large_grit", "large_ste"),
        ("large_grit_refresh_8_to_ste", "large_grit_refresh_8", "large_ste"),
    ):
        result[name] = seconds[one] / seconds[other]
    return result


def encoding(gflops: float) -> dict[str, Any]:
    """Return items/s from vectors, of the residual stack alone, of FAISS and of the peer.

    Each is measured in its own processes, which take turns: in one process, the waiting threads of
    one library slow another's by a factor of two.

    Args:
        gflops: this machine's sgemm speed, the upper limit.
    """
    seconds = dict.fromkeys(ENCODERS, float("inf"))
    for _ in range(3):
        for name in ENCODERS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                seconds[name] = min(seconds[name], process.submit(_encoder_seconds, name).result())
    flops = 2 * 4 * 256 * WIDTH * ROWS
    return {
        **{f"million_items_per_second_{k}": ROWS / v / 1e6 for k, v in seconds.items()},
        "residual_share_of_sgemm": flops / seconds["residual"] / gflops / 1e9,
        "ratio_to_faiss_beam_1": seconds["faiss_beam_1"] / seconds["residual"],
        "ratio_to_peer": seconds["vector_quantize_pytorch"] / seconds["residual"],
    }


def _encoder_seconds(name: str) -> float:
    """Return the shortest time of coding all rows with one encoder."""
    torch.manual_seed(0)
    work = ENCODERS[name]()
    work()
    return best_seconds(work, repeats=5)


def _model() -> Autoencoder:
    model = Autoencoder(VECTOR, NARROW, GritConfig(**GREEDY))
    model.quantizer.start_from(torch.randn(4096, WIDTH), torch.Generator().manual_seed(0))
    return model.eval()


def _from_vectors() -> Callable[[], object]:
    model, vectors = _model(), torch.randn(ROWS, VECTOR)
    return lambda: model.encode(vectors)


def _residual() -> Callable[[], object]:
    model, latents = _model(), torch.randn(ROWS, WIDTH)
    return lambda: model.encode_latents(latents)


def _faiss() -> Callable[[], object]:
    import faiss

    quantizer: Any = faiss.ResidualQuantizer(WIDTH, 4, 8)
    books = _model().quantizer.codebooks().numpy()
    faiss.copy_array_to_vector(books.ravel(), quantizer.codebooks)
    quantizer.is_trained = True
    quantizer.compute_codebook_tables()
    quantizer.max_beam_size = 1
    latents = torch.randn(ROWS, WIDTH).numpy()
    return lambda: quantizer.compute_codes(latents)


def _peer_encoder() -> Callable[[], object]:
    peer, latents = _peer(256).eval(), torch.randn(ROWS, WIDTH)
    return lambda: _peer_codes(peer, latents)


@torch.no_grad()
def _peer_codes(peer: Any, latents: Tensor) -> list[Tensor]:
    return [peer(part[None])[1] for part in torch.split(latents, 4096)]


ENCODERS: dict[str, Callable[[], Callable[[], object]]] = {
    "from_vectors": _from_vectors,
    "residual": _residual,
    "faiss_beam_1": _faiss,
    "vector_quantize_pytorch": _peer_encoder,
}
