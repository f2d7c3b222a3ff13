"""An exported program as an ONNX file, and running one with onnxruntime."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from vidrec.inference.export import Run
from vidrec.inference.export_blame import first_line, onnx_error
from vidrec.utils.errors import UserError

MIN_OPSET, MAX_OPSET = 18, 23  # what torch's exporter writes without a conversion between versions
EXTERNAL_OVER = 1_500_000_000  # bytes of weights that a file still holds itself; protobuf ends at 2 GiB


def check_onnx_packages() -> None:
    """Raises UserError where what export to ONNX needs is not installed."""
    missing = []
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise UserError(
            f"Export to ONNX needs {', '.join(missing)}, which this environment lacks. Install what export needs with"
            " pip install 'vidrec[export]', or use --format torch."
        )


def check_opset(opset: int | None) -> None:
    """Raises UserError for an opset that torch's exporter does not write."""
    if opset is not None and not MIN_OPSET <= opset <= MAX_OPSET:
        raise UserError(f"--opset is {opset}; it must lie in {MIN_OPSET} to {MAX_OPSET}. Leave it out for the one that torch chooses.")


def write_onnx(
    program: ExportedProgram, path: Path, *, facts: Mapping[str, str], opset: int | None = None, external_over: int = EXTERNAL_OVER
) -> int:
    """Writes a program as an ONNX file with the input `clips` and the output `logits`, both with the axis `batch`.

    Args:
        facts: go into the file's metadata.
        opset: None: the one that torch chooses.
        external_over: bytes of weights above which they go into a file of their own beside it, `path.name.data`.

    Returns:
        The opset of the file.

    Raises:
        UserError: an operator that ONNX does not have; names it.
        OSError: the file cannot be written.
    """
    torch_log = logging.getLogger("torch.onnx")
    level = torch_log.level
    torch_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about its own insides
            options = {"dynamo": True, "verbose": False, "input_names": ["clips"], "output_names": ["logits"]}
            made = torch.onnx.export(program, opset_version=opset, **options)
    except torch.onnx.errors.OnnxExporterError as error:
        raise onnx_error(program, error) from error
    finally:
        torch_log.setLevel(level)
    model = made.model
    found = model.opset_imports[""]
    if opset is not None and found != opset:
        raise UserError(
            f"--opset is {opset} and the exporter gave {found}, since an operator needs it. Leave --opset out, or give {found}."
        )
    _name_batch(model)
    model.metadata_props.update(facts)
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    made.save(path, external_data=size > external_over)
    return found


def _name_batch(model: "torch.onnx.ir.Model") -> None:  # type: ignore[name-defined]
    """Calls the open axis `batch` everywhere, and drops what the nodes know of the Python that they come from."""
    import onnx_ir

    symbol = next(str(size) for size in model.graph.inputs[0].shape if not isinstance(size, int))
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            _rename(value, symbol, onnx_ir)
    for value in model.graph.inputs:
        _rename(value, symbol, onnx_ir)


def _rename(value, symbol: str, onnx_ir) -> None:
    if value.shape is not None:
        value.shape = onnx_ir.Shape(["batch" if str(size) == symbol else size for size in value.shape])
    value.metadata_props.clear()


def load_onnx(path: Path) -> Run:
    """Runs an ONNX file with onnxruntime on the CPU. Raises UserError where that cannot load or run it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    threads = torch.get_num_threads()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the package's errors share no class below Exception
        raise UserError(
            f"onnxruntime {onnxruntime.__version__} cannot load the exported file ({first_line(error)}). It was not written. Export with"
            " another --opset, or with --format torch."
        ) from error
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: inputs.contiguous().numpy()})[0])

    return run
