"""The largest inputs that are taken, and bombs: each in a process of its own, by its time and its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each makes a file, then reads it; the last line of a case is what is measured.
CASES = {
    "int64 codes": """
np.savez_compressed("a.npz", codes=np.zeros((1 << 21, 64), np.int64))
read = lambda: read_codes(Path("a.npz"))
""",
    "uint8 codes": """
np.savez_compressed("a.npz", codes=np.zeros((1 << 21, 64), np.uint8))
read = lambda: read_codes(Path("a.npz"))
""",
    "float64 images": """
np.savez_compressed("a.npz", images=np.zeros((1 << 21, 1, 8, 8)))
read = lambda: read_images(Path("a.npz"), (1, 8, 8))
""",
    "short lines": """
Path("a.txt").write_bytes(b"a b c d e f g h i j k l m n o p\\n" * (1 << 20))
read = lambda: TextData("text", path="a.txt").setup()
""",
    "different words": """
Path("a.txt").write_text("".join(f"w{i} w{i + 1} w{i + 2}\\n" for i in range(1 << 19)))
read = lambda: TextData("text", path="a.txt").setup()
""",
    "a GIF of frames": """
buffer = BytesIO()
Image.new("L", (8, 8)).save(buffer, "GIF")
frame = b"\\x2c\\0\\0\\0\\0\\x01\\0\\x01\\0\\0\\x02\\x02D\\x01\\0"
Path("a.gif").write_bytes(buffer.getvalue()[:-1] + frame * ((1 << 24) // len(frame) - 100) + b";")
read = lambda: read_images(Path("."), (1, 8, 8))
""",
    "a PNG of chunks": """
buffer = BytesIO()
Image.new("L", (8, 8)).save(buffer, "PNG")
empty = b"\\0\\0\\0\\0prIv" + zlib.crc32(b"prIv").to_bytes(4, "big")
Path("a.png").write_bytes(buffer.getvalue()[:33] + empty * ((1 << 24) // 12 - 100) + buffer.getvalue()[33:])
read = lambda: read_images(Path("."), (1, 8, 8))
""",
    "YAML of values": """
text = "a: [" + "x," * 130_000 + "]"
read = lambda: parse_yaml(text)
""",
    "JSON of keys": """
text = "{" + ",".join(f'"{i}":1' for i in range(300_000)) + ',"299999":2}'
read = lambda: parse_json(text.encode())
""",
}
READER = """
import json, resource, time, zlib
from io import BytesIO
from pathlib import Path
import numpy as np, torch
from PIL import Image
from gumbelzoo.commands.files.arrays import read_codes
from gumbelzoo.commands.files.pictures import read_images
from gumbelzoo.data import TextData
from gumbelzoo.pretrained.plain_yaml import parse_yaml
from gumbelzoo.pretrained.untrusted import parse_json
def unit():  # 0.2 seconds of a fast processor
    start = time.process_time()
    sum(len(str(i)) for i in range(3_000_000))
    return time.process_time() - start
def peak():  # of anonymous memory; ru_maxrss would count what the process started with
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024 - int(lines["RssFile"].split()[0]) / 1024
{case}
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_largest_input_is_bounded(case: str, tmp_path: Path) -> None:
    """The computing of 300 million short strings, 20 seconds of a fast processor, and 2 GiB of anonymous memory."""
    program = READER.replace("{case}", CASES[case]) + (
        "before, start = unit(), time.process_time()\n"
        "try:\n    read()\n    said = ''\nexcept ValueError as error:\n    said = str(error)\n"
        "seconds = time.process_time() - start\n"
        "print(json.dumps([said, 2 * seconds / (before + unit()), peak()]))\n"
    )
    (tmp_path / "reader.py").write_text(program)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "reader.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    said, units, megabytes = json.loads(done.stdout.splitlines()[-1])
    assert "\n" not in said
    assert units < 100
    assert megabytes < 2048
