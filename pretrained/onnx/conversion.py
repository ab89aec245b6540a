"""Conversion of a graph to the bytes of an ONNX file, and its comparison with the model in ONNX Runtime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..untrusted import first_line
from .graph import Graph

CASES = ((1, False), (7, True))  # batch, and whether the axis ``past`` has its largest length or none
TOLERANCE = 1e-5  # of numbers, times the largest of their tensor if that is above 1
OPSET = 20  # read by ONNX Runtime 1.17 and newer
MAX_BYTES = 2**31 - 2**20  # protobuf holds no more; the rest is for the graph


def convert(graph: Graph) -> bytes:
    """Convert a graph by ``torch.export`` to one ONNX file, its weights included.

    Raises:
        ValueError: weights of 2 GiB or more, or a model that torch cannot convert.
    """
    size = sum(tensor.numel() * tensor.itemsize for tensor in graph.state_dict().values())
    if size > MAX_BYTES:
        raise ValueError(f"{graph.file} would hold {size / 2**30:.1f} GiB of weights; an ONNX file has less than 2 GiB")
    past = min(3, graph.longest_past)
    inputs = graph.draw(3, past, torch.Generator().manual_seed(0))  # no axis of length 1, which would be fixed
    try:
        with torch.no_grad(), _quiet():
            exported = torch.export.export(graph, inputs, dynamic_shapes=graph.axes())
            program = torch.onnx.export(
                exported,
                input_names=[value.name for value in graph.inputs],
                output_names=[value.name for value in graph.outputs],
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of several libraries
        raise ValueError(f"torch cannot convert {graph.file} of this model: {first_line(error)}") from error
    assert program is not None  # with ``dynamo``
    proto = program.model_proto
    for node in (*proto.graph.node, *(node for function in proto.functions for node in function.node)):
        del node.metadata_props[:]  # they hold the paths of this machine
    return proto.SerializeToString()


def largest_difference(graph: Graph, content: bytes) -> float:
    """Run an ONNX file at batches of 1 and 7, and return its largest difference from the model.

    Whole numbers must be equal, or a tie that ``Graph.is_tie`` proves.

    Raises:
        ValueError: a difference above ``TOLERANCE``, another shape, or a file that ONNX Runtime does not run.
    """
    return max(_difference(graph, content, batch, graph.longest_past if full else 0) for batch, full in CASES)


def _difference(graph: Graph, content: bytes, batch: int, past: int) -> float:
    import onnxruntime

    inputs = graph.draw(batch, past, torch.Generator().manual_seed(1))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    feed = {value.name: tensor.numpy() for value, tensor in zip(graph.inputs, inputs, strict=True)}
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        made = session.run([value.name for value in graph.outputs], feed)
    except Exception as error:  # its classes have no common base
        raise ValueError(f"ONNX Runtime does not run {graph.file} of this model: {first_line(error)}") from error
    worst = 0.0
    for value, own, other in zip(graph.outputs, graph.results(inputs), map(torch.from_numpy, made), strict=True):
        where = f"{value.name} of {graph.file} at a batch of {batch}"
        if own.shape != other.shape or own.dtype != other.dtype:
            raise ValueError(f"{where}: {other.dtype} {tuple(other.shape)} is not {own.dtype} {tuple(own.shape)}")
        if own.dtype.is_floating_point:
            difference = float((own - other).abs().max() / own.abs().max().clamp(min=1)) if own.numel() else 0.0
            if not difference <= TOLERANCE:  # NaN too
                raise ValueError(f"{where}: differs from the model by {difference:.1e}, more than {TOLERANCE:g}")
            worst = max(worst, difference)
        elif not own.equal(other) and not graph.is_tie(inputs, own, other):
            raise ValueError(f"{where}: {int((own != other).sum())} of {own.numel()} values differ from the model's")
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the converter says of its own passes."""
    logger = logging.getLogger("onnxscript")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
