"""The files of an export: each is written aside, loaded again, compared, and only then takes its place, with a sidecar that explains it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from vidrec.commands.export import Options
    from vidrec.commands.export_source import Clips, Subject
    from vidrec.inference.export import Difference, Exportable
    from vidrec.inference.int8 import Quantized

SUFFIX = {"torch": ".pt2", "onnx": ".onnx"}
LOADING = {
    "torch": "program = torch.export.load(FILE).module(); logits = program(clips)",
    "onnx": "session = onnxruntime.InferenceSession(FILE); (logits,) = session.run(None, {'clips': clips})",
}
INT8_LOADING = "import torch.ao.quantization.fx._decomposed  # registers the operators; "


class Exported(NamedTuple):
    """A file that was written, and how far it is from what it was made from."""

    path: Path
    num_bytes: int
    difference: "Difference"
    sidecar: dict[str, Any]

    def line(self) -> str:
        """Example: `runs/a/export/a.onnx  1.2 MB  largest difference 3.1e-07, 8.2e-07 of the logits' std`"""
        far = f"largest difference {self.difference.largest:.2g}, {self.difference.over_std:.2g} of the logits' std"
        reference = "the int8 network" if "int8" in self.sidecar else "the network"
        return f"{self.path}  {self.num_bytes / 1e6:.1f} MB  from {reference}: {far}"


def write_all(
    subject: "Subject", network: "Exportable", clips: "Clips", options: "Options", quantized: "Quantized | None" = None
) -> list[Exported]:
    """Writes the files that the options ask for.

    Raises:
        UserError: the network cannot be exported, or a file differs too much; then none of the files is left.
    """
    from vidrec.commands.export import FORMATS
    from vidrec.engine.files import remove_leftovers, room_text, staged_files
    from vidrec.inference.export import CAPTURED_BATCH, capture, without_traces

    inputs = network.inputs(clips.pixels)
    wanted = network.logits(clips.pixels)
    module, more = network.module, {}
    if quantized is not None:
        module = quantized.module
        wanted, more = _int8_facts(quantized, inputs, wanted, options)
    program = without_traces(capture(module, inputs[:CAPTURED_BATCH]))
    facts = make_facts(subject, network, wanted.shape[1])
    try:
        with staged_files(subject.folder) as stage:
            made = []
            for kind in FORMATS[options.format]:
                path = stage / f"{subject.stem}{SUFFIX[kind]}"
                made.append(_write(kind, program, path, _Wanted(inputs, wanted, clips.where, facts | more), options))
        remove_leftovers(subject.folder)
    except OSError as error:
        raise UserError(
            f"The export cannot be written to {subject.folder} ({error.strerror}; {room_text(subject.folder)}); nothing was changed. Make"
            " room, or choose another folder with --out."
        ) from error
    return [file._replace(path=subject.folder / file.path.name) for file in made]


class _Wanted(NamedTuple):
    """What a file must give, [4, K] for four clips as it takes them; where these are from; and the facts for its sidecar."""

    inputs: "torch.Tensor"
    logits: "torch.Tensor"
    where: str
    facts: dict[str, Any]


def _write(kind: str, program: Any, path: Path, wanted: _Wanted, options: "Options") -> Exported:
    """Writes one file and its sidecar. Raises UserError where what was written gives other outputs."""
    from vidrec.engine.files import sha256_of
    from vidrec.inference.export import BATCHES, check_difference, compare, load_program, write_program
    from vidrec.inference.export_onnx import load_onnx, write_onnx

    about: dict[str, Any] = {"file": path.name, "format": kind}
    if kind == "torch":
        write_program(program, path, facts=json.dumps(wanted.facts))
        run = load_program(path)
    else:
        about["opset"] = write_onnx(program, path, facts=metadata(wanted.facts), opset=options.opset)
        run = load_onnx(path)
    difference = compare(run, wanted.inputs, wanted.logits)
    in_int8 = kind == "onnx" and "int8" in wanted.facts
    check_difference(difference, path.name, options.int8_tolerance if in_int8 else options.tolerance, in_int8=in_int8)
    files = sorted(path.parent.glob(f"{path.name}*"))
    about["files"] = [{"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in files]
    compared = {"batches": list(BATCHES), "clips": wanted.where, "largest_difference": difference.largest, "logits_std": difference.std}
    sidecar = about | wanted.facts | {"comparison": compared | {"difference_over_std": difference.over_std}, "load": _loading(kind, wanted)}
    path.with_name(f"{path.name}.json").write_text(json.dumps(sidecar, indent=1) + "\n", encoding="utf-8")
    return Exported(path, sum(file["bytes"] for file in about["files"]), difference, sidecar)


def make_facts(subject: "Subject", network: "Exportable", num_classes: int) -> dict[str, Any]:
    """All that someone needs to use the file without vidrec, fit for JSON."""
    import torch

    import vidrec

    frames, height, width = subject.clip_shape
    pixels = network.takes_pixels
    shape = ["batch", frames, height, width, 3] if pixels else ["batch", 3, frames, height, width]
    what = "RGB pixels" if pixels else "(RGB pixels / 255 - mean) / std"
    return {
        "network": subject.title,
        "weights": subject.weights,
        "input": {"name": "clips", "dtype": "uint8" if pixels else "float32", "shape": shape, "values": what},
        "output": {"name": "logits", "dtype": "float32", "shape": ["batch", num_classes], "probabilities": subject.activation},
        "normalization": "inside" if pixels else "outside",
        "mean": list(subject.mean),
        "std": list(subject.std),
        "class_names": subject.class_names,
        "clips_of_a_video": subject.clips_of_a_video,
        "made_with": {"vidrec": vidrec.__version__, "torch": str(torch.__version__)},
    }


def metadata(facts: dict[str, Any]) -> dict[str, str]:
    """The facts as texts, for an ONNX file: what is no text is JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def _int8_facts(
    quantized: "Quantized", inputs: "torch.Tensor", logits: "torch.Tensor", options: "Options"
) -> "tuple[torch.Tensor, dict[str, Any]]":
    """What the int8 network gives for the compared clips, and how far that is from the float network's logits [4, K]."""
    import torch

    from vidrec.inference.export import in_batches
    from vidrec.inference.int8 import QUANTIZER

    with torch.no_grad():
        found = torch.cat([quantized.module(part) for part in in_batches(inputs)])
    std = logits.std().item() or 1.0
    rms, largest = (found - logits).square().mean().sqrt().item() / std, (found - logits).abs().max().item() / std
    if not rms <= options.int8_tolerance:
        raise UserError(
            f"The int8 network's logits differ from the float network's by {rms:.2g} (RMS over their standard deviation); at most"
            f" {options.int8_tolerance:.2g} is allowed. Nothing was written. Calibrate on more clips (--calibration-clips), or allow more"
            " with --int8-tolerance."
        )
    far = {"rms_over_std": rms, "largest_over_std": largest}
    how = {"quantizer": QUANTIZER, "calibration_clips": quantized.num_clips, "reduce_range": options.reduce_range}
    return found, {"int8": how | quantized.shares.as_dict() | {"from_float": far}}


def _loading(kind: str, wanted: _Wanted) -> str:
    return f"{INT8_LOADING if kind == 'torch' and 'int8' in wanted.facts else ''}{LOADING[kind]}"
