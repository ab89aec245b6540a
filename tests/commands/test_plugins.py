"""Plugins: a user's own file outside the package trains, tests, samples, exports and loads like ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gumbelzoo
import gumbelzoo.data
import gumbelzoo.models
import pytest
from gumbelzoo import registry as registry_module
from gumbelzoo.commands.parsing.command_line import CommandLine
from gumbelzoo.commands.parsing.options import Options
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed.estimator import ESTIMATORS
from gumbelzoo.pretrained.plugins import import_plugins, module_name, plugin_files, plugins_of
from gumbelzoo.registry import Registry
from gumbelzoo.train import main

ESTIMATOR = '''
from gumbelzoo.models.relaxed.estimator import ESTIMATORS, Estimator
from gumbelzoo.models.relaxed.sampling import gumbel_max, one_hot
from gumbelzoo.models.relaxed.surrogate import straight_through


@ESTIMATORS.register("own_estimator")
class OwnEstimator(Estimator):
    """One-hot samples forward, ``gain`` times the logits backward.

    Args:
        gain: of the gradient.
    """

    unbiased = False
    pathwise = True
    learns_temperature = False

    def __init__(self, gain: float = 1.0, event_shape=None) -> None:
        super().__init__()
        self.gain = gain

    def sample(self, logits, temperature, noise_fn):
        hard = one_hot(gumbel_max(logits, noise=noise_fn(logits)), logits.shape[-1], logits.dtype)
        return straight_through(hard, self.gain * logits)
'''

QUANTIZER = '''
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, Quantized, Quantizer


@QUANTIZERS.register("own_sign")
class Sign(Quantizer):
    """The sign of each coordinate.

    Args:
        dim: width of the vectors.
        positions: positions of an example.
        scale: length of a coordinate.
    """

    def __init__(self, dim: int, positions: int, scale: float = 1.0) -> None:
        super().__init__(dim, 2, codebooks=dim)
        self.scale = scale

    def quantize(self, z):
        codes = self.nearest_codes(z)
        vectors = z + (self.embed_codes(codes) - z).detach()
        loss = (vectors.detach() - z).square().mean()
        return Quantized(vectors, codes, loss, {"rate": torch.tensor(self.rate()), "distortion": loss.detach()})

    def nearest_codes(self, z):
        return (z > 0).long()

    def embed_codes(self, codes):
        return self.scale * (2.0 * codes - 1)
'''

NETWORKS = '''
import math

from torch import nn
from gumbelzoo.models.networks.image import DECODERS, ENCODERS


@ENCODERS.register("own_linear")
class Linear(nn.Sequential):
    """One layer of so much ``gain``.

    Args:
        image_shape: ``c h w``.
        features: width.
        gain: multiplier of the output.
    """

    def __init__(self, image_shape, features: int, gain: float = 1.0) -> None:
        super().__init__(nn.Flatten(), nn.Linear(math.prod(image_shape), features))
        self.gain = gain

    def forward(self, x):
        return self.gain * super().forward(x)


@DECODERS.register("own_linear")
class LinearDecoder(nn.Module):
    """One layer."""

    def __init__(self, image_shape, features: int) -> None:
        super().__init__()
        self.shape = tuple(image_shape)
        self.layer = nn.Linear(features, math.prod(self.shape))

    def forward(self, z):
        return self.layer(z).unflatten(-1, self.shape)
'''

OBJECTIVE = '''
from gumbelzoo.models.text.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("own_first_token")
class FirstToken(Objective):
    """Likelihood in which the first token counts ``weight`` times.

    Args:
        vocabulary: tokens.
        max_length: longest sentence in tokens.
        weight: of the first token.
    """

    def __init__(self, vocabulary, max_length: int, weight: float = 2.0) -> None:
        super().__init__(vocabulary, max_length)
        self.weight = weight

    def generator_metrics(self, generator, batch):
        log_prob = generator.log_prob(batch["tokens"], batch["length"])  # b t
        return {"loss": -(log_prob.sum(1) + (self.weight - 1) * log_prob[:, 0]).mean()}
'''

PRIOR = '''
import torch
from torch import nn
from gumbelzoo.models.vqvae.priors.base import CODE_NETWORKS, AutoregressiveNetwork


@CODE_NETWORKS.register("own_marginals")
class Marginals(AutoregressiveNetwork):
    """Independent codes, one distribution per position and class.

    Args:
        shape: ``h w q``.
        codebook_size: k.
        classes: number of labels.
        initial: logit of every code.
    """

    def __init__(self, shape, codebook_size: int, classes: int = 1, initial: float = 0.0) -> None:
        super().__init__(shape, codebook_size, classes)
        self.table = nn.Parameter(torch.full((classes, *shape, codebook_size), initial))

    def logits(self, codes, label):
        return self.table[label]
'''

DATA_SET = '''
import torch
from gumbelzoo.data.images.splits import Split, Splits, hold_out, image_set


@image_set("own_bars", (1, 8, 8))
def bars(folders, published=False) -> Splits:
    """Columns and rows."""
    columns = 255 * (torch.arange(256)[:, None] >> torch.arange(8) & 1)[:, None, None].expand(-1, 1, 8, -1)
    rest, test = hold_out(Split(columns.to(torch.uint8), torch.arange(256) % 2), 50)
    return Splits(*hold_out(rest, 50), test, "drawn by the user")
'''

FILE = "code/my_parts.py"
VAE = """
model:
  class_path: categorical_vae
  init_args:
    image_shape: [1, 8, 8]
    latents: 3
    categories: 4
    bound_samples: 2
    estimator: {name: own_estimator, gain: 2.0}
    encoder: {name: own_linear, gain: 2.0}
    decoder: own_linear
data: {class_path: images, init_args: {name: own_bars, binarization: none, batch_size: 50}}
"""
CODES = """
model:
  class_path: vq_vae
  init_args:
    image_shape: [1, 8, 8]
    dim: 4
    encoder: {name: conv, widths: [8]}
    decoder: {name: conv, widths: [8]}
    quantizer: {name: own_sign, scale: 0.5}
data: {class_path: images, init_args: {name: digits, binarization: none}}
"""
PRIORS = """
model: {class_path: code_prior, init_args: {vqvae: vqvae, network: {name: own_marginals, initial: 0.5}, classes: 10}}
data: {class_path: images, init_args: {name: digits, binarization: none}}
"""
TEXT = """
model:
  class_path: text_gan
  init_args:
    generator: {name: lstm, width: 8, hidden: 8}
    objective: {name: own_first_token, weight: 3.0}
    test_samples: 20
data: {class_path: text, init_args: {name: text, path: lines.txt, level: character, min_count: 1, batch_size: 8}}
"""
TRAINER = "trainer: {accelerator: cpu, max_steps: 2, limit_val_batches: 1}\n"


@pytest.fixture
def forget(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Forget what was imported and registered, as another process has not; also after the test."""
    before = [(registry, dict(registry._entries), dict(registry.plugins)) for registry in Registry.everyone]
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def restore() -> None:
        registry_module._met.clear()
        for registry, entries, plugins in before:
            registry._entries, registry.plugins = dict(entries), dict(plugins)
        for name in set(sys.modules) - modules:
            if not str(getattr(sys.modules[name], "__file__", "")).startswith(str(workspace)):
                continue
            del sys.modules[name]

    yield restore
    restore()


@pytest.fixture
def plugin(workspace: Path, forget: Callable[[], None]) -> Callable[..., str]:
    """Write a plugin into a folder of its own, and return its path."""

    def write(*sources: str, name: str = FILE) -> str:
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(sources))
        return name

    return write


def train(config: str, name: str = "mine") -> str:
    """Fit two batches with the plugin, and return the run."""
    Path(f"{name}.yaml").write_text(config + TRAINER)
    assert main(["fit", "--config", f"{name}.yaml", "--plugin", FILE]) == 0
    return f"runs/{name}/1"


def release(run: str, forget: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> Any:
    """Test and export a run, each as in a process of its own, and load the release; no step goes without the plugin."""
    forget()
    capfd.readouterr()
    assert main(["test", run]) == 2
    assert f"it needs the plugin '{FILE}', which is not imported for a file's sake" in capfd.readouterr().err
    assert "my_parts" not in sys.modules
    assert main(["test", run, "--plugin", FILE]) == 0
    forget()
    assert main(["export", run, "release", f"--plugin={FILE}"]) == 0
    weights = gumbelzoo.load(run).state_dict()
    forget()
    assert json.loads(Path("release/config.json").read_text())["plugins"] == ["my_parts"]
    with pytest.raises(
        ValueError, match=r"^release/config.json: it needs the plugin 'my_parts', .*plugins=\['my_parts'\]$"
    ):
        gumbelzoo.load("release")
    model = gumbelzoo.load("release", plugins=[FILE])
    assert all(value.equal(weights[name]) for name, value in model.state_dict().items())
    return model


def test_vae_of_own_parts(
    plugin: Callable[..., str], forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Estimator, encoder, decoder and data set; the card says how they are found."""
    plugin(ESTIMATOR, NETWORKS, DATA_SET)
    model = release(train(VAE), forget, capfd)
    assert (type(model.encoder).__name__, type(model.decoder).__name__) == ("Linear", "LinearDecoder")
    card = Path("release/README.md").read_text()
    assert 'gumbelzoo.load("release", plugins=["my_parts"])' in card
    assert "`gumbelzoo test release --plugin my_parts`" in card


@pytest.mark.slow
def test_codes_and_prior_of_own_parts(
    plugin: Callable[..., str], forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """A quantizer, and a network of the prior over its codes: the release of the prior holds both."""
    plugin(QUANTIZER, PRIOR)
    run = train(CODES)
    model = release(train(PRIORS.replace("vqvae: vqvae", f"vqvae: {run}"), "prior"), forget, capfd)
    assert (type(model.vqvae.quantizer).__name__, type(model.network).__name__) == ("Sign", "Marginals")
    forget()
    options = ["--plugin", FILE, "-n", "4", "--label", "3"]
    assert main(["sample", "release", *options]) == 0 and Path("samples.png").is_file()


@pytest.mark.slow
def test_text_of_an_own_objective(
    plugin: Callable[..., str], forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    plugin(OBJECTIVE)
    Path("lines.txt").write_text("\n".join(f"{a}{b}{c}" for a in "abcd" for b in "abcd" for c in "abcd"))
    model = release(train(TEXT), forget, capfd)
    assert type(model.objective).__name__ == "FirstToken" and model.objective.weight == 3.0


# -- the command line -------------------------------------------------------------------------------------------------


def test_plugin_is_listed_without_import(plugin: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    """Its source is read; this one could not be imported."""
    file = plugin(QUANTIZER, "raise RuntimeError")
    assert main(["list", "quantizer", "own_sign", "--plugin", file]) == 0
    out = capfd.readouterr().out
    assert "The sign of each coordinate." in out and "scale: float = 1.0" in out and "length of a coordinate." in out
    assert "my_parts" not in sys.modules


def test_sweep_takes_a_plugin(plugin: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    """Its points are tried before the first run."""
    plugin(ESTIMATOR, NETWORKS, DATA_SET)
    Path("mine.yaml").write_text(VAE + TRAINER)
    sweep = ["sweep", "--config", "mine.yaml", "--plugin", FILE]
    assert main([*sweep, "--grid", "model.estimator.gain=1.0,much"]) == 2
    assert "model.estimator.gain: expected float, got 'much'" in capfd.readouterr().err


BROKEN = {
    "raises": ("1 / 0", r"cannot be imported: ZeroDivisionError: division by zero \(line 1\)"),
    "ends the program": (
        "import sys\nsys.exit('bye')",
        r"cannot be imported: it ends the program \(line 2\); put that under `if __name__",
    ),
    "no Python": ("a = (", "cannot be imported: SyntaxError"),
    "no argument for the context": (
        ESTIMATOR.replace(", event_shape=None", ""),
        "cannot be imported: ValueError: estimator 'own_estimator' must take the argument event_shape",
    ),
    "lacks a module": (
        "import nosuch_module",
        "cannot be imported: ModuleNotFoundError: No module named 'nosuch_module'",
    ),
    "a name that is taken": (
        QUANTIZER.replace("own_sign", "fsq"),
        "cannot be imported: ValueError: quantizer 'fsq' is registered twice",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plugin_raises(case: str, plugin: Callable[..., str]) -> None:
    """What it registered before is forgotten, so that it can be mended and imported again."""
    source, message = BROKEN[case]
    file = plugin(ESTIMATOR + source if case == "a name that is taken" else source)
    with pytest.raises(ValueError, match=rf"^the plugin 'code/my_parts.py' [^\n]*{message}[^\n]*$"):
        import_plugins([file])
    assert "own_estimator" not in ESTIMATORS and plugins_of("own_estimator") == []
    import_plugins([plugin(ESTIMATOR)])
    assert plugins_of("own_estimator") == ["my_parts"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nosuch_module", "there is no module 'nosuch_module' to import as a plugin"),
        ("nosuch.py", "there is no plugin 'nosuch.py'"),
        ("code/json.py", "has the name of another module, .*json.*: rename the file"),
        ("two words", "a plugin is the name of a module or the path of a .py file, got 'two words'"),
        ("", "a plugin is the name of a module"),
        ("code/my plug-in.py", "'code/my plug-in.py' has a name that Python cannot import; rename it"),
    ],
)
def test_no_plugin_of_that_name(given: str, message: str, plugin: Callable[..., str]) -> None:
    plugin("x = 1", name="code/json.py")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        import_plugins([given])


def test_module_here_and_its_neighbour(plugin: Callable[..., str], forget: Callable[[], None]) -> None:
    """A package in the working folder, and a file that imports the one beside it."""
    plugin("from . import parts", name="own_package/__init__.py")
    plugin(QUANTIZER, name="own_package/parts.py")
    import_plugins(["own_package"])
    assert plugins_of("own_sign") == ["own_package.parts"]
    assert [path.name for path, _ in plugin_files("own_package")] == ["__init__.py", "parts.py"]
    forget()
    plugin(ESTIMATOR, name="code/own_neighbour.py")
    import_plugins([plugin("import own_neighbour")])
    assert plugins_of("own_estimator") == ["own_neighbour"]


def test_class_defined_again_takes_its_place(plugin: Callable[..., str]) -> None:
    """A cell of a notebook that is run again."""
    module = module_name(plugin(QUANTIZER))
    import_plugins([FILE])
    exec(compile(QUANTIZER.replace("1.0", "3.0"), "<cell>", "exec"), vars(sys.modules[module]))
    assert QUANTIZERS.build("own_sign", dim=2, positions=1).scale == 3.0


# -- installed plugins ------------------------------------------------------------------------------------------------


@pytest.fixture
def install(workspace: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]) -> Callable[[str, str], None]:
    """Install a package of one module that names itself in the entry-point group."""
    site = workspace / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def add(name: str, source: str) -> None:
        (site / f"{name}.py").write_text(source)
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[gumbelzoo.plugins]\n{name} = {name}\n")

    return add


def test_installed_plugin_is_found(
    install: Callable[[str, str], None], forget: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """It is listed from its source, and imported for a name that is not known without it, and only then."""
    install("acme_parts", QUANTIZER)
    assert main(["list", "quantizer"]) == 0 and "own_sign" in capfd.readouterr().out
    Options(CommandLine.read("fit", ["--model=vq_vae", "--data=images", "--model.quantizer=own_sign"])).check()
    gumbelzoo.create_model("vq_vae", quantizer="fsq")
    assert "acme_parts" not in sys.modules
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], quantizer="own_sign")
    model.initialise(0.5, 0.1)
    gumbelzoo.save_pretrained(model, "release")
    forget()
    assert type(gumbelzoo.load("release").quantizer).__name__ == "Sign"


@pytest.mark.parametrize(("source", "said"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(0)", "SystemExit")])
def test_broken_installed_plugin_is_a_warning(source: str, said: str, install: Callable[[str, str], None]) -> None:
    """The others still work."""
    install("acme_broken", source)
    install("acme_parts", QUANTIZER)
    with pytest.warns(UserWarning, match=f"the installed plugin 'acme_broken' is left out: {said}"):
        gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8], quantizer="own_sign")


# -- files of strangers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["antigravity", "../../x.py", "os; import x", "a" * 1000, ["x"] * 100, [3], {"a": 1}])
def test_record_imports_nothing(name: Any, vae: Path, made_run: Callable[..., Path]) -> None:
    """What a release or a run names as a plugin is a text; one line says what to do."""
    content = json.loads((vae / "config.json").read_text())
    (vae / "config.json").write_text(json.dumps({**content, "plugins": [name] if isinstance(name, str) else name}))
    run = made_run("strange/1", plugin=name)
    path = list(sys.path)
    for source in (vae, run):
        with pytest.raises(ValueError, match=r"config\.(json|yaml): [^\n]*plugin[^\n]*$") as error:
            gumbelzoo.load(source)
        assert len(str(error.value)) < 600
    assert sys.path == path and not {"antigravity", "x", "os; import x"} & set(sys.modules)
