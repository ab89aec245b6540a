"""Compare runs: differing options, best validation, test metrics and training time, and a plot of the validations."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..pretrained.paths import user_path, whole_file
from ..pretrained.run_files import CONFIG
from ..pretrained.untrusted import printable
from .files.outputs import check_output, path
from .run_folders.comparison import compare_tables, describe, describe_all, differing_options, ranked
from .run_folders.records import Metric, Record, find_runs, read_record

LONGEST_LABEL = 90  # characters
STYLES = ("-", "--", ":", "-.")  # after the last colour, the first comes again with another style
MAX_LINES = 32  # of different looks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("runs", nargs="+", help="run folders, folders of runs such as runs/catvae_digits, or patterns")
    parser.add_argument(
        "--select",
        type=select_option,
        metavar="METRIC",
        help="validation metric to sort by, such as val/kl; METRIC:max if a name does not tell that higher is better; "
        "default: the one that selects best.ckpt",
    )
    parser.add_argument("--out", type=path, help="plot of the validation metric: .png, .pdf or .svg")
    parser.add_argument("--json", action="store_true", help="for programs; with all options")


def select_option(text: str) -> Metric:
    """Type of ``--select``: ``Metric.of`` with the parser's error."""
    try:
        return Metric.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> None:
    """Print the tables, and write the plot.

    Raises:
        ValueError: what is no run, a metric that no run has, or another ending of the plot.
        FileNotFoundError: nothing there.
    """
    from ..plots import FORMATS

    folders = list(dict.fromkeys(folder for name in options.runs for folder in _expand(name)))
    if options.out:
        check_output(options.out, FORMATS, [*folders, *(folder / "figures" for folder in folders)])
    records = [read_record(folder) for folder in folders]
    readable = [record for record in records if not record.problem]
    if not readable:
        raise ValueError(f"nothing to compare: {records[0].folder}: {records[0].problem}")
    if options.select and not any(record.best(options.select) for record in readable):
        known = sorted({name for record in readable for name in record.curves})
        raise ValueError(f"no run has {options.select.name}; there are: {', '.join(known) or 'none'}")
    if options.json:
        print(json.dumps(describe_all(records), indent=2))
    else:
        left_out = [f"left out: {record.folder}: {record.problem}" for record in records if record.problem]
        print("\n\n".join([*compare_tables(readable, options.select), *map(printable, left_out)]))
    if options.out:
        write_plot(readable, options.select, options.out)
        print(printable(str(options.out)))


def write_plot(records: Sequence[Record], select: Metric | None, out: Path) -> None:
    """Plot the validation metric of each run against its training batches, a panel for each metric.

    Raises:
        ValueError: no run has a validation to show.
        OSError: the file cannot be written.
    """
    from ..callbacks.quantities import title_of
    from ..plots import COLOURS, plot

    panels: dict[Metric, list[Record]] = {}
    for record in records:
        metric = select or record.monitor
        if metric and record.best(metric):
            panels.setdefault(metric, []).append(record)
    if not panels:
        raise ValueError(f"'{out}' is not written: no run has a validation to show")
    longest = min(max(map(len, panels.values())), MAX_LINES)
    with whole_file(out) as file, plot(file, 10, len(panels) * (3.5 + 0.2 * longest), out.suffix) as figure:
        for axes, (metric, group) in zip(
            figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True
        ):
            names = differing_options(group)
            looks = zip(itertools.cycle(COLOURS), _styles(len(COLOURS)), strict=False)
            shown = ranked(group, metric)[:MAX_LINES]
            for record, (colour, style) in zip(shown, looks, strict=False):
                x, y = zip(*record.curves[metric.name], strict=True)
                marker = "o" if len(x) < 30 else None
                label = _label(record, names)
                axes.plot(x, y, color=colour, linestyle=style, marker=marker, markersize=4, label=label)
            title, unit = title_of(metric.name.rpartition("/")[2])
            axes.set(xlabel="training batches", ylabel=f"{metric.name}{', ' * bool(unit)}{unit}")
            axes.set_title(f"{title}, validation: {_better(metric)}{_shown(len(shown), len(group))}")
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), fontsize=9)


def _expand(name: str) -> Iterable[Path]:
    """Run folders that a name means: one, those in a folder, or those that match a pattern.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: a folder in which there is no run.
    """
    given = user_path(name)
    pattern = any(sign in name for sign in "*?[") and not given.exists()
    found = sorted(Path(given.anchor).glob(str(given.relative_to(given.anchor)))) if pattern else [given]
    if pattern and not found:
        raise FileNotFoundError(f"nothing matches '{name}'")
    folders = [folder for match in found if not pattern or match.is_dir() for folder in find_runs(match)]
    runs = [folder for folder in folders if (folder / CONFIG).is_file()]
    if not runs:
        raise ValueError(f"there is no run in '{printable(name)}': `list runs` names what there is")
    return runs


def _styles(colours: int) -> Iterable[str]:
    """Line styles, each for so many lines."""
    return itertools.cycle(style for style in STYLES for _ in range(colours))


def _label(record: Record, names: Sequence[str]) -> str:
    """Name of a run; one that has only a number is described by its options."""
    said = f"  {describe(record, names)}" if record.folder.name.isdecimal() else ""
    text = printable(f"{record.folder.parent.name}/{record.folder.name}{said}").strip()
    text = text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 3]}..."
    return text.replace("$", r"\$")  # no formula


def _shown(shown: int, there: int) -> str:
    return "" if shown == there else f"; the best {shown} of {there} runs"


def _better(metric: Metric) -> str:
    return f"{'lower' if metric.lower_is_better else 'higher'} is better"
