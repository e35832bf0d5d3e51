"""NSVQ (Vali & Bäckström, IEEE Access 2022): noise in the place of the quantization error."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tokenizer.quantizers.learnt.codebook import LearntCodebook, gap_length

__all__ = ["Nsvq"]


class Nsvq(LearntCodebook):
    """z + ‖q − z‖ · v/‖v‖, v ~ N(0, I) (Vali & Bäckström, IEEE Access 2022).

    In a stack q is the sum of the levels' codewords, and noise replaces the gap of the sum once. A
    level has no auxiliary loss of its own.
    """

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return z + gap_length(q - z) * normalize(torch.randn_like(z), dim=-1)
