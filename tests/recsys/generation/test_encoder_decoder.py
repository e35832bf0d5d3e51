"""TIGER's network equals Hugging Face's T5, and stepwise decoding equals the whole pass."""

import pytest
import torch
from torch import Tensor

from recsys.generation.beam_search import beam_search
from recsys.generation.encoder_decoder import Tiger, TigerConfig
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import Vocabulary
from tests.recsys.generation.t5 import t5_of, tiger_of

VOCABULARY = 60
CONFIG = TigerConfig(width=32, heads=3, head_width=8, hidden=48, layers=2)


def _model() -> Tiger:
    return tiger_of(t5_of(CONFIG, VOCABULARY), CONFIG)


def _batch(users: int = 5, length: int = 150) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    history = torch.randint(1, 60, (users, length), generator=generator)
    history[0, 40:] = 0
    history[1, 3:] = 0
    return history, torch.randint(1, 60, (users, 5), generator=generator)


def test_logits_are_those_of_t5() -> None:
    oracle = t5_of(CONFIG, VOCABULARY)
    history, target = _batch()
    with torch.no_grad():
        theirs = oracle(
            input_ids=history, attention_mask=(history > 0).long(), labels=target
        ).logits
        ours = tiger_of(oracle, CONFIG)(history, target)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_steps_with_cached_keys_equal_the_whole_pass() -> None:
    model = _model()
    history, target = _batch()
    with torch.no_grad():
        whole = model(history, target)
    state = model.start(history)
    tokens: Tensor | None = None
    parents: Tensor | None = None
    for position in range(5):
        logits = model.step(state, tokens, parents)
        assert torch.allclose(logits[:, 0], whole[:, position], atol=1e-4)
        tokens, parents = target[:, position : position + 1], torch.zeros(5, 1, dtype=torch.long)


def test_beams_follow_their_parents() -> None:
    """Three beams of two users are reordered at every step; the reference runs each path alone."""
    model = _model()
    history, _ = _batch(users=2, length=20)
    generator = torch.Generator().manual_seed(3)
    state = model.start(history)
    paths = torch.zeros(2, 1, 0, dtype=torch.long)
    tokens: Tensor | None = None
    parents: Tensor | None = None
    for step in range(4):
        logits = model.step(state, tokens, parents)
        for user in range(2):
            for beam in range(logits.shape[1]):
                path = torch.cat([paths[user, beam], torch.ones(1, dtype=torch.long)])
                with torch.no_grad():
                    alone = model(history[user : user + 1], path[None])[0, -1]
                assert torch.allclose(logits[user, beam], alone, atol=1e-4), step
        parents = torch.randint(0, logits.shape[1], (2, 3), generator=generator)
        tokens = torch.randint(1, 60, (2, 3), generator=generator)
        kept = paths.gather(1, parents.unsqueeze(2).expand(-1, -1, paths.shape[2]))
        paths = torch.cat([kept, tokens.unsqueeze(2)], dim=2)


def test_the_search_finds_the_items_that_scoring_all_of_them_finds() -> None:
    """A wide beam equals scoring every item, also with the history left out."""
    torch.manual_seed(4)
    vocabulary = Vocabulary(levels=2, codebook_size=12, suffixes=3, user_buckets=4)
    model = Tiger(CONFIG, vocabulary.size).eval()
    drawn = torch.randperm(12 * 12 * 3)[:200]
    codes = torch.stack([drawn // 36, drawn // 3 % 12], dim=1).numpy()
    tokens = torch.from_numpy(vocabulary.encode(codes, (drawn % 3).numpy()))
    trie = Trie(vocabulary, tokens.numpy())
    history = tokens[torch.randint(0, 200, (6, 4))].flatten(1)
    with torch.no_grad():
        logs = torch.stack(
            [model(history, item.expand(6, -1)).log_softmax(2) for item in tokens], 1
        )
    scores = logs.gather(3, tokens.expand(6, -1, -1).unsqueeze(3)).squeeze(3).sum(2)
    shown = torch.randint(0, 200, (6, 30))
    for excluded in (None, shown):
        if excluded is not None:
            scores = scores.scatter(1, excluded, -torch.inf)
        found = beam_search(model, history, trie, top=10, beams=200, excluded=excluded)
        assert torch.equal(found.items, scores.topk(10).indices)
        assert torch.allclose(found.scores, scores.topk(10).values, atol=1e-4)


def test_padding_does_not_matter() -> None:
    model = _model()
    history, target = _batch(length=20)
    padded = torch.nn.functional.pad(history, (0, 7))
    with torch.no_grad():
        assert torch.allclose(model(history, target), model(padded, target), atol=1e-5)


def test_half_precision_loses_little() -> None:
    model = _model().train()
    history, target = _batch(users=64, length=20)
    exact = model.loss(history, target)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(history, target)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)
    assert rough.item() != exact.item()
    rough.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("length", [1, 40])
def test_shapes(length: int) -> None:
    history, target = (torch.ones(3, size, dtype=torch.long) for size in (length, 4))
    assert Tiger(CONFIG, VOCABULARY)(history, target).shape == (3, 4, 60)


def test_weights_start_as_those_of_t5() -> None:
    """Every weight's deviation at the start is that of transformers' own initialisation."""
    oracle = t5_of(CONFIG, VOCABULARY)
    theirs = dict(tiger_of(oracle, CONFIG).named_parameters())
    torch.manual_seed(1)
    for name, ours in Tiger(CONFIG, VOCABULARY).named_parameters():
        if ours.numel() >= 64 and not name.startswith("embedding"):
            assert ours.std().item() == pytest.approx(theirs[name].std().item(), rel=0.4), name
