"""The page on publishing: its commands in their order, from a run to a colleague who loads it from a hub."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import gumbelzoo
import pytest
from gumbelzoo.tests.pretrained.hub_server import Hub
from gumbelzoo.train import main
from huggingface_hub import ModelCard

PAGE = (Path(gumbelzoo.__file__).parent / "docs/publishing.md").read_text(encoding="utf-8")
SHORT = ["--trainer.max_steps=20", "--model.bound_samples=5", "--trainer.accelerator=cpu"]
ELSEWHERE = ["hf auth login", "python -m build", "twine check --strict dist/*"]  # an account; tests/test_sdist.py


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub calls httpx
def test_commands_of_the_page_run(
    server: Hub, workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    address = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.url + address)
    others = []
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        for words in (shlex.split(line, comments=True) for line in block.splitlines()):
            if words[:2] == ["python", "train.py"]:
                assert main(words[2:] + (SHORT if words[2] == "fit" else [])) == 0, capfd.readouterr().err
            elif words[:2] == ["python", "-c"]:
                exec(words[2], {})
            else:
                others.append(shlex.join(words).replace("'", ""))
    assert others == ELSEWHERE
    assert "torch.Size([4, 1, 8, 8])" in capfd.readouterr().out
    assert (workspace / "samples.png").is_file()

    files, local = server.repositories["user/digits-vae"], ModelCard.load(workspace / "digits-vae/README.md")
    pushed = ModelCard(files["README.md"].decode())
    assert pushed.data.to_dict() == local.data.to_dict() and pushed.data.license == "mit"
    assert [result.metric_name for result in pushed.data.eval_results] == ["test/bound", "test/elbo"]
    assert 'gumbelzoo.load("user/digits-vae")' in pushed.text and "`gumbelzoo test user/digits-vae`" in pushed.text
    assert 'load("digits-vae")' not in pushed.text
