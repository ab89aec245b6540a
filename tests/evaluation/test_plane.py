"""The picture of temperature sweeps, and the published results in it."""

import pytest
from gumbelzoo.evaluation import draw_plane
from gumbelzoo.evaluation.published import ALPHAS, CURVES, REFERENCE_POINTS
from matplotlib.axes import Axes


def test_picture_has_every_curve_and_point(tmp_path, monkeypatch):
    drawn, lines, texts = [], [], []
    plot, line, text = Axes.plot, Axes.axhline, Axes.text
    monkeypatch.setattr(Axes, "plot", lambda *args, **kwargs: drawn.append(args[1:3]) or plot(*args, **kwargs))
    monkeypatch.setattr(Axes, "axhline", lambda *args, **kwargs: lines.append(args[1]) or line(*args, **kwargs))
    monkeypatch.setattr(Axes, "text", lambda *args, **kwargs: texts.append(args[2:]) or text(*args, **kwargs))
    path = draw_plane({"ours": [(9.0, 7.6), (8.0, 8.0)]}, tmp_path / "plane.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert ([7.6, 8.0], [9.0, 8.0]) in drawn  # NLL_test across, NLL_oracle upwards
    assert len(drawn) == len(CURVES) + 2
    assert lines == [10.28, 2.756]
    assert texts == [(5.757, "   truth"), (10.28, "unigram"), (2.756, "one greedy sentence")]


def test_curve_without_points_raises(tmp_path):
    with pytest.raises(ValueError, match="'ours' has no points"):
        draw_plane({"ours": []}, tmp_path / "plane.png")


def test_published_curves_are_monotone():
    """NLL_oracle falls and NLL_test rises with the inverse temperature."""
    for points in CURVES.values():
        assert len(points) == len(ALPHAS)
        oracle, test = zip(*points, strict=True)
        assert sorted(oracle, reverse=True) == list(oracle)
        assert sorted(test) == list(test)
        assert min(test) > REFERENCE_POINTS["truth"][0] > REFERENCE_POINTS["one greedy sentence"][0]
