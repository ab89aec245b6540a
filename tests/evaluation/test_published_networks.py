"""Weights of published networks: read where torch keeps them, refused where they are missing, never executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from gumbelzoo.evaluation import published_networks as networks
from torchvision.models import squeezenet1_1


class Executed:
    """An object whose file creates a folder when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torch's downloads, empty; nothing can be downloaded."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("network", networks.LPIPS)
def test_missing_weights_raise(network: str, kept: Path) -> None:
    """The address and the folder are named."""
    with pytest.raises(ValueError, match=rf"download https://download.pytorch.org/models/{network}\S+ to {kept}"):
        networks.lpips_metric(network, (3, 64, 64))


def test_weights_that_are_none_raise(kept: Path) -> None:
    file = kept / networks.LPIPS["alex"].rpartition("/")[2]
    for content in (b"", b"<html>not found</html>"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of weights: delete it"):
            networks.lpips_metric("alex", (3, 64, 64))


def test_weights_execute_nothing(kept: Path) -> None:
    torch.save({"weight": Executed()}, kept / networks.LPIPS["alex"].rpartition("/")[2])
    with pytest.raises(ValueError, match="is no file of weights"):
        networks.lpips_metric("alex", (3, 64, 64))
    assert not Path("executed").exists()


def test_lpips_of_grey_images(kept: Path) -> None:
    """With random weights in the published format: zero for equal images, larger for more noise."""
    torch.save(squeezenet1_1(weights=None).state_dict(), kept / networks.LPIPS["squeeze"].rpartition("/")[2])
    metric, images = networks.lpips_metric("squeeze", (1, 32, 32)), torch.rand(2, 1, 32, 32)
    distances = []
    for noise in (0.0, 0.1, 0.4):
        seen = (images + noise * torch.randn(images.shape)).clamp(0, 1)
        metric.update(networks.three_channels(seen), networks.three_channels(images))
        distances.append(float(metric.compute().detach()))
        metric.reset()
    assert distances[0] == 0 and 0 < distances[1] < distances[2]
    with pytest.raises(ValueError, match="images of 8 x 8 are too small"):
        networks.lpips_metric("squeeze", (1, 8, 8))
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        networks.lpips_metric("squeeze", (2, 32, 32))


def test_unknown_lpips_network_raises() -> None:
    with pytest.raises(ValueError, match="alex, squeeze, vgg, got 'resnet'"):
        networks.lpips_metric("resnet", (3, 64, 64))


def test_inception_is_refused_without_weights(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install torch-fidelity"):
        networks.InceptionFeatures()
    monkeypatch.setattr(networks, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match=r"download https://github.com/toshas/torch-fidelity/\S+ to "):
        networks.InceptionFeatures()
