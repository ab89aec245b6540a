"""The order of rows: by epoch, by process, and from a saved position."""

import itertools

import pytest
import torch
from gumbelzoo.data.loader import TensorLoader


def make(n=103, batch_size=10, **options):
    return TensorLoader({"row": torch.arange(n)}, batch_size, **options)


def rows(loader):
    return [batch["row"].tolist() for batch in loader]


def test_shuffled_epoch_drops_the_remainder():
    """Full batches of distinct rows, in an order given by the seed."""
    epoch = rows(make(shuffle=True))
    assert [len(batch) for batch in epoch] == [10] * 10
    assert len({row for batch in epoch for row in batch}) == 100
    assert epoch != rows(make(shuffle=True, seed=1))


def test_each_pass_is_the_next_epoch():
    """Another loader gives the same batches for the same epoch."""
    loader = make(shuffle=True)
    passes = [rows(loader) for _ in range(3)]
    assert passes[0] != passes[1] != passes[2] != passes[0]
    other = make(shuffle=True)
    other.set_epoch(2)
    assert rows(other) == passes[2]


def test_evaluation_is_every_row_once_in_order():
    loader = make()
    first = rows(loader)
    assert list(itertools.chain(*first)) == list(range(103))
    assert len(first) == len(loader) == 11
    assert max(len(batch) for batch in first) <= 10
    assert rows(loader) == first


@pytest.mark.parametrize(("n", "batch_size", "world_size"), [(103, 10, 2), (101, 10, 4), (21, 10, 2), (8, 3, 3)])
def test_evaluation_over_processes(n, batch_size, world_size):
    """Every row once over all processes, without padding, in equally many batches."""
    loaders = [make(n, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    parts = [rows(loader) for loader in loaders]
    assert sorted(itertools.chain(*itertools.chain(*parts))) == list(range(n))
    assert {len(part) for part in parts} == {len(loader) for loader in loaders} == {len(parts[0])}
    assert all(0 < len(batch) <= batch_size for part in parts for batch in part)


def test_training_over_processes():
    """Together they see the batches of one process with the total batch size."""
    parts = [rows(make(batch_size=5, shuffle=True, rank=rank, world_size=2)) for rank in range(2)]
    together = [sorted(a + b) for a, b in zip(*parts, strict=True)]
    assert together == [sorted(batch) for batch in rows(make(shuffle=True))]


def test_key_is_seed_epoch_step_and_rank():
    keys = []
    loader = make(
        40, transform=lambda batch, key: keys.append(key) or batch, shuffle=True, seed=7, rank=1, world_size=2
    )
    rows(loader)
    rows(loader)
    assert keys == [(7, 0, 0, 1), (7, 0, 1, 1), (7, 1, 0, 1), (7, 1, 1, 1)]


@pytest.mark.parametrize("taken", range(11))
def test_saved_position_resumes_at_the_next_batch(taken):
    loader = make(shuffle=True)
    rows(loader)
    whole = [batch["row"].tolist() for batch in itertools.islice(loader, taken)]
    state = loader.state_dict()
    resumed = make(shuffle=True)
    iter(resumed)
    resumed.load_state_dict(state)
    iter(resumed)
    reference = make(shuffle=True)
    expected = [rows(reference) for _ in range(3)]
    assert len(resumed) == 10
    assert whole + rows(resumed) == expected[1]
    assert rows(resumed) == expected[2]


def test_state_taken_while_a_batch_is_in_use():
    loader = make(shuffle=True)
    next(iter(loader))
    assert loader.state_dict()["position"] == 1
    assert all(isinstance(value, int) for value in loader.state_dict()["layout"].values())


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"seed": 3}, {"n": 99}, {"world_size": 2}])
def test_mid_epoch_state_of_another_layout_raises(change):
    """At the end of an epoch a changed batch size, seed or number of processes is fine."""
    loader = make(shuffle=True)
    next(iter(loader))
    with pytest.raises(ValueError, match="mid-epoch with"):
        make(**{"shuffle": True, **change}).load_state_dict(loader.state_dict())
    rows(loader)
    other = make(**{"shuffle": True, **change})
    other.load_state_dict(loader.state_dict())
    assert other.state_dict()["position"] == len(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"seed": -1}, "seed >= 0"),
        ({"batch_size": 60, "shuffle": True, "world_size": 2}, "set --data.batch_size=51 or less"),
        (
            {"n": 45, "batch_size": 64, "shuffle": True},
            "45 examples .* a batch of 64; set --data.batch_size=45 or less",
        ),
        ({"n": 1, "batch_size": 1, "shuffle": True, "world_size": 2}, "use fewer processes"),
        ({"n": 1, "world_size": 2}, "empty batch"),
        ({"n": 3, "batch_size": 1, "world_size": 2}, "empty batch"),
        ({"n": 3, "batch_size": 1, "world_size": 2, "rank": 1}, "empty batch"),
    ],
)
def test_impossible_sizes_raise(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
