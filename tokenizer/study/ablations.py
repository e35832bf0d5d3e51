"""The paper's ablations (arXiv 2602.01140, Tables 10 and 12–16) and our own, on item content.

A study is the rows of one comparison: a name, and the options that differ from the defaults.
"""

from collections.abc import Mapping

from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.grit.transform import TRANSFORMS

__all__ = ["STUDIES", "Study"]

Study = Mapping[str, Mapping[str, object]]

_FROZEN: Mapping[str, object] = {"protocol": "frozen"}
_NORMED: Mapping[str, object] = {"row_norm": True}
_IDENTITY: Mapping[str, object] = {"network": "identity"}
_GREEDY: Mapping[str, object] = {"search_beam": 1}
_BEAM: Mapping[str, object] = {"search_beam": 5}

STUDIES: dict[str, Study] = {
    "radius": {name: {"radius": name} for name in sorted(RADII)},
    "transform": {name: {"transform": name} for name in sorted(TRANSFORMS)},
    "rank": {f"rank {rank}": {"rank": rank} for rank in (1, 4, 8, 16, 32, 64)},
    "refresh": {f"every {steps}": {"refresh_every": steps} for steps in (1, 2, 4, 8, 16, 32)},
    "protocol": {
        "joint": {},
        "joint, no resets": {"reset_below": 0.0},
        "joint, usage": {"usage_weight": 0.02},
        "joint, random start": {"start": "random"},
        "joint, random start, no resets": {"start": "random", "reset_below": 0.0},
        "joint by averages": {"protocol": "joint_ema"},
        "frozen": _FROZEN,
        "frozen, row norm": {**_FROZEN, **_NORMED},
        "frozen, random start, row norm": {"start": "random", **_FROZEN, **_NORMED},
    },
    "components": {
        "grit": {},
        "straight-through, ψ′ = 0": {"psi_max": 0.0},
        "no pull of the sum": {"sum_weight": 0.0},
        "neither": {"psi_max": 0.0, "sum_weight": 0.0},
        "no transform": {"transform": "none"},
        "no commitment": {"commitment": 0.0},
        "no gain": {"gain": False},
        "row norm": _NORMED,
        "codeword norm": {"codeword_norm": True},
        "surrogate feed": {"feed": "surrogate"},
        "no separation": {"separation": 0.0},
        "the paper's: frozen, row norm, no pull": {"sum_weight": 0.0, **_FROZEN, **_NORMED},
    },
    "codebook-size": {
        f"K = {size}": {"codebook_size": size} for size in (32, 64, 128, 256, 512, 1024)
    },
    "levels": {f"L = {levels}": {"levels": levels} for levels in (1, 2, 3, 4, 6, 8)},
    # The steps from a stack in an autoencoder to faiss.ResidualQuantizer on the vectors.
    "encoder": {
        "grit, mlp": {"network": "mlp", **_GREEDY},
        "grit, mlp, beam 5": {"network": "mlp", **_BEAM},
        "grit, linear 128": {"network": "linear", "latent": 128, **_GREEDY},
        "grit, linear 128, beam 5": {"network": "linear", "latent": 128, **_BEAM},
        "grit, identity": {**_IDENTITY, **_GREEDY},
        "grit, identity, beam 5": {**_IDENTITY, **_BEAM},
        "grit, identity, beam 16": {"search_beam": 16, **_IDENTITY},
        "grit, identity, beam 5, no pull": {"sum_weight": 0.0, **_BEAM, **_IDENTITY},
        "grit, identity, beam 5, frozen": {**_FROZEN, **_BEAM, **_IDENTITY},
        "faiss, beam 1": {"quantizer": "rq_faiss", **_GREEDY, **_IDENTITY},
        "faiss, beam 5": {"quantizer": "rq_faiss", **_BEAM, **_IDENTITY},
        "faiss, beam 16": {"quantizer": "rq_faiss", "search_beam": 16, **_IDENTITY},
    },
}
