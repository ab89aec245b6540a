"""The data module of images: batches, binarization, statistics, cost of a batch."""

import time

import pytest
import torch
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.binarization import BINARIZATIONS
from gumbelzoo.data.images.splits import IMAGE_SETS, ImageSet, Split, Splits


def images_of(loader):
    return torch.cat([batch["image"] for batch in loader])


def image_bytes(loader):
    return sorted(image.numpy().tobytes() for image in images_of(loader))


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_batches_have_the_documented_form(binarization):
    data = ImageData(binarization=binarization)
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


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_only_static_uses_the_published_draw(monkeypatch, binarization):
    split = Split(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1), torch.arange(2))

    def read(folders, published):
        return Splits(split, split, split, "a file", "the published draw" if published else None)

    monkeypatch.setitem(IMAGE_SETS._entries, "binary", ImageSet((1, 1, 1), read))
    data = ImageData("binary", binarization)
    assert (data.metadata()["binarization"] == "static: the published draw") == (binarization == "static")
    assert data.metadata()["source"] == "a file"
    assert torch.equal(data.splits.test.images, split.images)


@pytest.mark.parametrize("binarization", ["static", "dynamic", "threshold"])
def test_binarized_colour_raises(binarization):
    with pytest.raises(ValueError, match=r"cifar10 is in colour .* use binarization='none'"):
        ImageData("cifar10", binarization)


def test_colour_images_keep_their_channels(monkeypatch):
    split = Split(torch.randint(0, 256, (6, 3, 2, 2), dtype=torch.uint8), torch.arange(6))
    monkeypatch.setitem(IMAGE_SETS._entries, "noise", ImageSet((3, 2, 2), lambda *_: Splits(split, split, split, "")))
    data = ImageData("noise", "none")
    assert torch.equal(images_of(data.test_dataloader()), split.images.float() / 255)
    assert data.shape == data.mean.shape == (3, 2, 2)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"data set.*'fashion-mnist'; did you mean 'fashion_mnist'"):
        ImageData("fashion-mnist")
    with pytest.raises(ValueError, match=r"binarization.*'dinamic'; did you mean 'dynamic'"):
        ImageData(binarization="dinamic")
    ours = ["arrays", "cifar10", "digits", "fashion_mnist", "folder", "mnist", "omniglot"]
    assert IMAGE_SETS.names() == sorted([*ours, "cifar100", "emnist", "kmnist", "qmnist", "svhn", "usps"])


def test_static_is_one_draw_for_every_seed():
    """The seed changes the order of images; neither seed nor epoch changes the images."""
    loaders = [ImageData(seed=seed).train_dataloader() for seed in (0, 1)]
    first, other = (torch.cat([batch["image"].sum((1, 2, 3)) for batch in loader]) for loader in loaders)
    assert not torch.equal(first, other)
    whole = [ImageData(seed=seed, batch_size=1397).train_dataloader() for seed in (0, 1)]
    sets = [image_bytes(loader) for loader in (*whole, whole[0])]
    assert sets[0] == sets[1] == sets[2]


def test_dynamic_draws_fresh_training_images_only():
    data = ImageData(binarization="dynamic", batch_size=1397)
    train = data.train_dataloader()
    assert image_bytes(train) != image_bytes(train)
    static = ImageData(binarization="static")
    for name in ("val_dataloader", "test_dataloader"):
        first, second = images_of(getattr(data, name)()), images_of(getattr(data, name)())
        assert torch.equal(first, second)
        assert torch.equal(first, images_of(getattr(static, name)()))


@pytest.mark.parametrize("binarization", ["static", "threshold", "none"])
def test_mean_is_of_the_images_as_seen(binarization):
    data = ImageData(binarization=binarization, batch_size=1397)
    seen = images_of(data.train_dataloader()).mean(0)
    assert data.mean.dtype == torch.float32
    assert torch.allclose(data.mean, seen, atol=1e-6)


def test_dynamic_mean_is_the_expected_image():
    data = ImageData(binarization="dynamic", batch_size=1397)
    loader = data.train_dataloader()
    seen = torch.stack([images_of(loader).mean(0) for _ in range(20)]).mean(0)
    assert torch.allclose(data.mean, seen, atol=4 * (0.25 / (20 * 1397)) ** 0.5)


@pytest.mark.parametrize("binarization", BINARIZATIONS.names())
def test_variance_is_of_the_images_as_seen(binarization):
    """Dynamic images are stored grey and seen binary: the variance is the mean of p (1 - p) plus that of p."""
    data = ImageData(binarization=binarization)
    pixels = data.splits.train.images.float() / 255
    if binarization == "dynamic":
        pixels = torch.bernoulli(pixels, generator=torch.Generator().manual_seed(0))
    tolerance = 0.01 if binarization == "dynamic" else 1e-5
    assert data.variance == pytest.approx(pixels.var(correction=0).item(), rel=tolerance)


def test_metadata_of_digits():
    metadata = ImageData().metadata()
    assert metadata["data set"] == "digits"
    assert metadata["binarization"].startswith("static: one Bernoulli draw")
    assert metadata["split"] == "1,397 training, 200 validation, 200 test"
    assert "scikit-learn" in metadata["licence"]


def test_root_reaches_the_reader(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "here" / "MNIST")):
        ImageData("mnist", root=str(tmp_path / "here")).setup("fit")


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("binarization", ["static", "dynamic"])
def test_batch_costs_a_tenth_of_a_step_at_most(monkeypatch, one_thread, binarization):
    """At the size of MNIST, compared with the step of a small network."""
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
