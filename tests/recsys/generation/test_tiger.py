from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import CANDIDATES, evaluate, target_ranks
from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.models.baselines import Popularity
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of, in_order

ITEMS = 50
TINY = TigerRecommenderConfig(
    width=16, heads=2, head_width=8, hidden=32, layers=1, dropout=0.0,
    history=4, headroom=0, beams=ITEMS, validation_beams=10,
)  # fmt: skip


def _model(
    config: TigerRecommenderConfig = TINY, data: SequenceDataset | None = None
) -> TigerRecommender:
    torch.manual_seed(0)
    return TigerRecommender(config, in_order() if data is None else data)


def test_the_loss_is_the_mean_over_all_prefixes() -> None:
    """The rows form more than one group."""
    data = in_order()
    for buckets in (0, 7):
        model = _model(replace(TINY, user_buckets=buckets))
        examples = model.examples(data)[:70]
        losses = []
        for example in examples:
            user, row = (example[0], example[1:]) if buckets else (None, example)
            *history, target = row[row >= 0].tolist()
            tokens = model.tokens[history].flatten()
            if user is not None:
                read = model.vocabulary.user_tokens([data.user_ids[int(user)]])
                tokens = torch.cat([torch.from_numpy(read), tokens])
            losses.append(model.network.loss(tokens[None], model.tokens[[target]]))
        assert model.loss(examples).item() == pytest.approx(torch.stack(losses).mean().item())
        assert model.predictions(examples).tolist() == [3] * 70


@torch.no_grad()
def test_ranks_equal_those_of_scoring_every_item() -> None:
    data, model = in_order(), _model().eval()
    users = np.array([149, 3, 88])
    found = model.evaluate(data, "test", users)
    histories = torch.from_numpy(data.histories("test", model.history, users))
    written = [
        model.network(model.tokens[histories].flatten(1), item.expand(3, -1)).log_softmax(2)
        for item in model.tokens[:ITEMS]
    ]
    scores = torch.stack(
        [
            logs.gather(2, item.expand(3, -1)[..., None]).sum((1, 2))
            for logs, item in zip(written, model.tokens[:ITEMS], strict=True)
        ],
        dim=1,
    )
    targets = torch.from_numpy(data.targets("test")[users])
    expected = target_ranks(scores, targets, torch.from_numpy(data.histories("test"))[users])
    for name in CANDIDATES:
        assert found.ranks[name].tolist() == expected[name].tolist()
    assert found.ranks["without_history"].sum() < found.ranks["all"].sum()


def test_items_beyond_the_beams_are_not_found_and_deeper_metrics_left_out() -> None:
    data = in_order()
    exact, narrow = (
        _model(replace(TINY, beams=beams)).eval().evaluate(data, "test") for beams in (ITEMS, 10)
    )
    assert sorted(narrow.metrics()) == [
        "coverage@10", "coverage@5", "ndcg@10", "ndcg@5", "recall@10", "recall@5"
    ]  # fmt: skip
    assert "recall@50" in exact.metrics()
    assert "recall@100" not in exact.metrics()
    missed = np.isinf(narrow.ranks["all"])
    assert 0 < missed.sum() < len(missed)
    assert (narrow.per_user()["recall@10"] == ~missed).all()
    assert (narrow.ranks["all"][~missed] <= 10).all()


def test_it_learns_a_fixed_order_of_items() -> None:
    """With user tokens it is far better than popularity, in both candidate sets."""
    data, model = in_order(), replace(TINY, user_buckets=7)
    popular = evaluate(Popularity(data).scores, data, "validation")
    config = TrainingConfig(
        epochs=8, batch_size=32, learning_rate=1e-2, warmup_steps=20, evaluate_every=4
    )
    best = train(lambda: TigerRecommender(model, data), data, config).best
    for name in CANDIDATES:
        assert best.validation[name]["ndcg@10"] > 2 * popular.metrics(name)["ndcg@10"]
        assert best.validation[name]["ndcg@10"] > 0.6


def test_a_users_list_does_not_depend_on_the_batch() -> None:
    data, model = in_order(), _model(replace(TINY, user_buckets=7)).eval()
    whole = model.evaluate(data, "test")
    for user in (0, 77):
        alone = model.evaluate(data, "test", np.array([user]))
        for name in CANDIDATES:
            assert alone.ranks[name] == whole.ranks[name][user]
    kept = _model(replace(TINY, user_buckets=7), data.without_users()).eval()  # as after loading
    kept.load_state_dict(model.state_dict())
    again = kept.evaluate(data, "test")
    for name in CANDIDATES:
        assert np.array_equal(again.ranks[name], whole.ranks[name])


def test_users_differ_by_their_tokens() -> None:
    model = _model(replace(TINY, user_buckets=7)).eval()
    histories = torch.zeros(2, 1, dtype=torch.long)
    tokens = torch.from_numpy(model.vocabulary.user_tokens(["a", "b"]))
    found = model.recommend(histories, user_tokens=tokens)
    assert (found.scores[0] - found.scores[1]).abs().max() > 1e-3
    unknown = model.recommend(histories)
    torch.testing.assert_close(unknown.scores[0], unknown.scores[1])


def test_suffix_tokens_exist_only_if_they_can_be_needed() -> None:
    bare = dataset_of([[0, 1, 2, 3]], 4, codes=[[0, 1], [1, 1], [2, 0], [1, 0]])
    assert TigerRecommender(TINY, bare).vocabulary.length == 2
    assert TigerRecommender(replace(TINY, headroom=3), bare).vocabulary.suffixes == 4
    assert _model().vocabulary.suffixes == 2


def test_unusable_input_is_refused() -> None:
    data = in_order(8)
    with pytest.raises(InputError, match="no codes"):
        TigerRecommender(TINY, replace(data, codes=None))
    with pytest.raises(InputError, match="beams is 4; at least 5"):
        TigerRecommender(replace(TINY, validation_beams=4), data)
    with pytest.raises(InputError, match="is given twice, to items 0 and 25"):
        TigerRecommender(TINY, replace(data, suffixes=None))
    for monitor in ("ndcg@20", "mrr"):
        config = TrainingConfig(epochs=1, monitor=monitor)
        with pytest.raises(
            InputError, match=f"no metric '{monitor}'; .* recall@5, recall@10, ndcg"
        ):
            train(lambda: TigerRecommender(TINY, data), data, config)
    model = _model()
    for histories in (torch.tensor([[1, 2], [-1, -1]]), torch.ones(1, 5, dtype=torch.long)):
        with pytest.raises(ValueError, match="1 to 4 items"):
            model.recommend(histories)
