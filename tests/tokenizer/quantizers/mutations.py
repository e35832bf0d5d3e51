"""Estimators made wrong on purpose: a change of their source, and the promise that must break."""

import inspect
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers.base.quantizer import Quantizer
from tokenizer.quantizers.grid.codebook import GridQuantizer
from tokenizer.quantizers.grit import level as grit
from tokenizer.quantizers.grit.radius import PowerRadius, RadialRadius
from tokenizer.quantizers.grit.transform import LinearTransform
from tokenizer.quantizers.learnt import diveq, wasserstein
from tokenizer.quantizers.learnt.codebook import LearntCodebook
from tokenizer.quantizers.learnt.diveq import DiVeq
from tokenizer.quantizers.learnt.ema import EmaQuantizer
from tokenizer.quantizers.learnt.gumbel import SampledQuantizer
from tokenizer.quantizers.learnt.nsvq import Nsvq
from tokenizer.quantizers.learnt.rotation import RotationQuantizer
from tokenizer.quantizers.learnt.simvq import SimVq

__all__ = ["MUTATIONS", "Mutation"]


@dataclass(frozen=True)
class Mutation:
    """One wrong line.

    Attributes:
        owner: the class or module that the function is in.
        function: its name.
        changes: texts of its source, each there once, and what stands for them.
        promise: the name of the promise that must fail.
    """

    owner: Any
    function: str
    changes: dict[str, str]
    promise: str

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Put the changed function in the place of the right one."""
        source = textwrap.dedent(inspect.getsource(getattr(self.owner, self.function)))
        for right, wrong in self.changes.items():
            assert source.count(right) == 1, f"{self.function} has no {right!r} any more"
            source = source.replace(right, wrong)
        module = self.owner if inspect.ismodule(self.owner) else sys.modules[self.owner.__module__]
        if not inspect.ismodule(self.owner):  # super() needs a class body
            source = source.replace("super()", f"super({self.owner.__name__}, self)")
        names: dict[str, Any] = {}
        exec(compile(source, f"<mutated {self.function}>", "exec"), vars(module), names)
        patch.setattr(self.owner, self.function, names[self.function])


_RQVAE, _GRIT = "rqvae_is_rq_vae", "grit_takes_one_step_on_the_sum"
_VALUES = "training_values_are_those_of_the_codes"

MUTATIONS: dict[str, Mutation] = {
    "GRIT: codewords get no gradient": Mutation(
        grit._Surrogate, "backward",
        {"to_codeword, along.squeeze": "0 * to_codeword, along.squeeze"}, _GRIT,
    ),
    "GRIT: the codewords' sign": Mutation(
        grit._Surrogate, "backward",
        {"to_codeword, along.squeeze": "-to_codeword, along.squeeze"}, _GRIT,
    ),
    "GRIT: z gets all of the gradient": Mutation(
        grit._Surrogate, "backward", {"gradient - to_codeword": "gradient"}, _GRIT
    ),
    "GRIT: the slope without its exponent": Mutation(
        PowerRadius, "derivative", {"self.alpha * length": "length"}, _GRIT
    ),
    "GRIT: the slope without its bound": Mutation(
        RadialRadius, "forward", {".clamp(max=self.psi_max)": ""}, "a_slope_is_bounded"
    ),
    "GRIT: the transform without U Vᵀ": Mutation(
        LinearTransform, "rows",
        {" + _chosen(self.u, codes) @ shared": ""}, "the_linear_transform_mixes_and_turns",
    ),
    "stack: one step a level": Mutation(
        ResidualQuantizer, "forward",
        {
            "relaxed = relaxed + chosen.relaxed":
                "relaxed = relaxed + level.estimate(residual, chosen.relaxed, chosen.codes)",
            "out = last.estimate(z, relaxed, codes_of_levels[-1])": "out = relaxed",
        },
        _RQVAE,
    ),
    "stack: the first level's step is left out": Mutation(
        ResidualQuantizer, "forward",
        {"relaxed = relaxed + chosen.relaxed": "relaxed = relaxed + chosen.relaxed * (index > 0)"},
        _VALUES,
    ),
    "stack: commitments of levels 2…L do not reach the encoder": Mutation(
        ResidualQuantizer, "forward",
        {"residual - chosen.codewords.detach()": "(residual - chosen.codewords).detach()"}, _RQVAE,
    ),
    "stack: residuals keep their codewords' gradient": Mutation(
        ResidualQuantizer, "forward",
        {"residual - chosen.codewords.detach()": "residual - chosen.codewords"}, _RQVAE,
    ),
    "stack: the sum is not pulled to z": Mutation(
        ResidualQuantizer, "forward",
        {"loss = loss + last.auxiliary_of_sum(z, total)": "pass"}, _RQVAE,
    ),
    "VQ-VAE: the codebook loss moves z": Mutation(
        LearntCodebook, "auxiliary", {"q - z.detach()": "q.detach() - z"}, _RQVAE
    ),
    "VQ-VAE: the commitment moves the codebook": Mutation(
        Quantizer, "auxiliary", {"z - q.detach()": "z.detach() - q"}, _RQVAE
    ),
    "straight-through: z is detached": Mutation(
        Quantizer, "estimate", {"z + (q - z).detach()": "q.detach() + 0 * z"}, _RQVAE
    ),
    "k-means does not start the codebook": Mutation(
        Quantizer, "start_rows", {'"random"': '"kmeans"'},
        "codebooks_start_at_the_centres_of_their_latents",
    ),
    "DiVeQ: noise for the direction": Mutation(
        DiVeq, "estimate",
        {"normalize((gap + noise)": "normalize(torch.randn_like(gap)"}, "diveq_steps_along_the_gap",
    ),
    "DiVeQ: σ² for σ": Mutation(
        DiVeq, "estimate", {"noise_variance**0.5": "noise_variance"},
        "diveqs_noise_has_its_variance",
    ),
    "DiVeQ: a length without gradient": Mutation(
        diveq, "gap_length", {"(gap * direction)": "(gap.detach() * direction)"},
        "diveq_steps_along_the_gap",
    ),
    "NSVQ: the gap for the noise": Mutation(
        Nsvq, "estimate", {"torch.randn_like(z)": "q - z"},
        "nsvq_puts_noise_at_the_codewords_distance",
    ),
    "rotation: the reflection's sign": Mutation(
        RotationQuantizer, "estimate", {"z - 2 * along_middle": "z + 2 * along_middle"},
        "the_rotation_carries_z_onto_q",
    ),
    "SimVQ: the raw code is returned": Mutation(
        SimVq, "codebook", {"self.raw @ self.w": "self.raw + 0 * self.w.sum()"},
        "simvq_codes_are_transformed",
    ),
    "Wasserstein: no root of the covariance": Mutation(
        wasserstein, "_root", {".sqrt()": ""}, "wasserstein_is_the_distance_of_gaussians"
    ),
    "Wasserstein: no root of the product": Mutation(
        wasserstein, "gaussian_wasserstein", {"values.sqrt().sum()": "values.sum()"},
        "wasserstein_is_the_distance_of_gaussians",
    ),
    "EMA: dead codewords are left": Mutation(
        EmaQuantizer, "_follow", {"self.counts < self.LEAST": "self.counts < 0"},
        "a_dead_average_starts_anew",
    ),
    "EMA: a restart keeps its statistics": Mutation(
        EmaQuantizer, "_follow",
        {"self.sums[dead] = z[drawn]": "self.sums[dead] += 0 * z[drawn]"},
        "a_dead_average_starts_anew",
    ),
    "EMA: counts of latents, not of even use": Mutation(
        EmaQuantizer, "_follow", {"max(len(z), 1) / self.codebook_size": "1.0"},
        "averages_follow_their_latents",
    ),
    "Gumbel: the draw hands nothing back": Mutation(
        SampledQuantizer, "choose", {"soft + (hard - soft).detach()": "hard"},
        "gumbel_hands_back_the_softmaxs_gradient",
    ),
    "grids: the identity's gradient for that of tanh": Mutation(
        GridQuantizer, "choose", {"self.channels(z).tanh()": "self.channels(z)"},
        "grids_hand_back_the_gradient_of_tanh",
    ),
}  # fmt: skip
