"""The datamodule: what models and the command line rely on."""

import time

import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.binarization import BINARIZATIONS
from gumbelzoo.data.images.splits import IMAGE_SETS, ImageSet, Split, Splits
from gumbelzoo.data.licences import LICENCES, licence_of
from gumbelzoo.data.text.splits import TEXT_SETS
from lightning.pytorch import LightningDataModule


def images_of(loader):
    return torch.cat([batch["image"] for batch in loader])


@pytest.fixture
def reads(monkeypatch):
    """A data set of random colour images that counts how often it is read."""
    calls = []

    def read(folders, published):
        calls.append(published)
        split = Split(torch.randint(0, 256, (6, 3, 2, 2), dtype=torch.uint8), torch.arange(6))
        return Splits(split, split, split, "nowhere")

    monkeypatch.setitem(IMAGE_SETS._entries, "noise", ImageSet((3, 2, 2), read))
    return calls


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_batches_have_the_documented_form(binarization):
    data = ImageData(binarization=binarization)
    assert isinstance(data, LightningDataModule)
    assert (data.name, data.shape) == ("digits", (1, 8, 8))
    data.prepare_data()
    data.setup("fit")
    for loader, size in ((data.train_dataloader(), 100), (data.val_dataloader(), 200), (data.test_dataloader(), 200)):
        batch = next(iter(loader))
        assert set(batch) == {"image", "label"}
        assert (batch["image"].shape, batch["image"].dtype) == ((size, 1, 8, 8), torch.float32)
        assert (batch["label"].shape, batch["label"].dtype) == ((size,), torch.int64)
        assert (batch["image"].min(), batch["image"].max()) == (0, 1)
        assert binarization == "none" or batch["image"].unique().tolist() == [0, 1]


def test_the_data_are_read_once_and_not_before_they_are_needed(reads):
    data = ImageData("noise", "none", batch_size=2)
    assert data.shape == (3, 2, 2)
    assert reads == []
    data.prepare_data()
    for stage in ("fit", "fit", "validate", "test", None):
        data.setup(stage)
    assert reads == [False]


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_only_static_asks_for_the_published_draw_and_says_so(monkeypatch, binarization):
    split = Split(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1), torch.arange(2))

    def read(folders, published):
        return Splits(split, split, split, "a file", "the published draw" if published else None)

    monkeypatch.setitem(IMAGE_SETS._entries, "binary", ImageSet((1, 1, 1), read))
    data = ImageData("binary", binarization)
    assert (data.facts()["binarization"] == "static: the published draw") == (binarization == "static")
    assert data.facts()["source"] == "a file"
    assert torch.equal(data.splits.test.images, split.images)


@pytest.mark.parametrize("binarization", ["static", "dynamic", "threshold"])
def test_colour_is_not_binarized(binarization, reads):
    for name in ("noise", "cifar10"):
        with pytest.raises(ValueError, match=f"{name} is in colour .* use binarization='none'"):
            ImageData(name, binarization)


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match=r"data set.*'fashion-mnist'; did you mean 'fashion_mnist'"):
        ImageData("fashion-mnist")
    with pytest.raises(ValueError, match=r"binarization.*'dinamic'; did you mean 'dynamic'"):
        ImageData(binarization="dinamic")
    assert IMAGE_SETS.names() == ["cifar10", "digits", "fashion_mnist", "mnist", "omniglot"]


def test_static_is_the_same_for_every_seed_and_epoch():
    loaders = [ImageData(seed=seed).train_dataloader() for seed in (0, 1)]
    first, other = (torch.cat([batch["image"].sum((1, 2, 3)) for batch in loader]) for loader in loaders)
    assert not torch.equal(first, other)
    whole = [ImageData(seed=seed, batch_size=1397).train_dataloader() for seed in (0, 1)]
    sets = [sorted(image.numpy().tobytes() for image in images_of(loader)) for loader in (*whole, whole[0])]
    assert sets[0] == sets[1] == sets[2]


def test_dynamic_is_drawn_anew_in_training_and_fixed_in_evaluation():
    data = ImageData(binarization="dynamic", batch_size=1397)
    train = data.train_dataloader()
    epochs = [sorted(image.numpy().tobytes() for image in images_of(train)) for _ in range(2)]
    assert epochs[0] != epochs[1]
    static = ImageData(binarization="static")
    for name in ("val_dataloader", "test_dataloader"):
        first, second = images_of(getattr(data, name)()), images_of(getattr(data, name)())
        assert torch.equal(first, second)
        assert torch.equal(first, images_of(getattr(static, name)()))


@pytest.mark.parametrize("binarization", ["static", "threshold", "none"])
def test_the_mean_is_of_the_images_that_the_model_sees(binarization):
    data = ImageData(binarization=binarization, batch_size=1397)
    seen = images_of(data.train_dataloader()).mean(0)
    assert data.mean.dtype == torch.float32
    assert torch.allclose(data.mean, seen, atol=1e-6)


def test_the_dynamic_mean_is_the_expected_image():
    data = ImageData(binarization="dynamic", batch_size=1397)
    loader = data.train_dataloader()
    seen = torch.stack([images_of(loader).mean(0) for _ in range(20)]).mean(0)
    assert torch.allclose(data.mean, seen, atol=4 * (0.25 / (20 * 1397)) ** 0.5)


def test_facts_are_plain_text_and_say_what_was_drawn():
    facts = ImageData().facts()
    assert facts["data set"] == "digits"
    assert facts["binarization"].startswith("static: one Bernoulli draw")
    assert facts["split"] == "1,397 training, 200 validation, 200 test"
    assert "scikit-learn" in facts["licence"]
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in facts.items())


def test_root_is_handed_to_the_reader(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "here" / "MNIST")):
        ImageData("mnist", root=str(tmp_path / "here")).setup("fit")


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("binarization", ["static", "dynamic"])
def test_a_batch_of_mnist_size_costs_less_than_a_tenth_of_a_step(monkeypatch, one_thread, binarization):
    split = Split(torch.randint(0, 256, (20_000, 1, 28, 28), dtype=torch.uint8), torch.zeros(20_000, dtype=torch.int64))
    monkeypatch.setitem(IMAGE_SETS._entries, "large", ImageSet((1, 28, 28), lambda *_: Splits(split, split, split, "")))
    linear = torch.nn.Linear
    net = torch.nn.Sequential(torch.nn.Flatten(), linear(784, 512), torch.nn.ReLU(), linear(512, 200), linear(200, 784))
    optimizer = torch.optim.Adam(net.parameters())
    loader = ImageData("large", binarization).train_dataloader()
    ratios = []
    for _ in range(3):
        start = time.process_time()
        batches = iter(loader)
        image = [next(batches)["image"] for _ in range(100)][-1]
        loaded = time.process_time()
        for _ in range(30):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(image), image.flatten(1)).backward()
            optimizer.step()
        ratios.append(((loaded - start) / 100) / ((time.process_time() - loaded) / 30))
    assert min(ratios) < 0.1, ratios


def test_the_terms_of_every_data_set_are_told():
    assert LICENCES.keys() == {*IMAGE_SETS.names(), *TEXT_SETS.names()} - {"text"}
    assert licence_of("text") == "not known here"
