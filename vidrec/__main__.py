"""`vidrec COMMAND ...` or `python -m vidrec COMMAND ...`: the same commands as the files in tools/, for an installed wheel."""

import importlib
import sys
from collections.abc import Sequence

import vidrec
from vidrec.utils.text import close_matches

# By group: the module of vidrec.commands, and what it does.
COMMANDS = {
    "train and apply networks": {
        "train": "train a network from one YAML file",
        "test": "test a network with many views per video",
        "inference": "say what videos show, with a timeline and annotated videos",
        "visualize_cam": "draw where in space and time a network finds the evidence for a class",
        "demo_app": "serve a page on which a network looks at videos",
        "feat_extract": "write the features of videos, of any layer of a network",
        "probe": "measure features with simple classifiers",
    },
    "look at runs": {
        "report": "write the page of a run: curves, accuracies, classes, confusions, hardest videos, config",
        "plot_run": "draw losses, accuracies and learning rates of runs into a picture",
        "replay_batch": "run the batch of a step that went wrong once more and say where it begins",
    },
    "networks and weights": {
        "export": "write a network as files that run without vidrec: torch.export and ONNX, also in int8",
        "list_models": "list the model zoo with clips, costs and published accuracies",
        "get_flops": "count multiply-adds, parameters and activations of a config's network",
        "get_fps": "measure inference: clips and videos per second, and how long one clip takes",
        "to_hub": "write a model's folder for the Hugging Face hub, with its card, and send it there",
        "convert_weights": "turn any weights file into one of vidrec, and back",
    },
    "videos and lists": {
        "prepare": "write lists and class maps of a downloaded data set",
        "check_dataset": "examine every video of a config's lists, write a manifest and cleaned lists",
        "browse_dataset": "draw clips as the network sees them, with labels and augmentation, into a picture",
        "make_shards": "write the videos of a list into tar shards with an index",
        "make_demo_data": "write the demo data set",
        "compare_decoders": "say which decoder gives a video's true frames, and what it costs",
    },
    "measure this machine": {
        "check_install": "check that the packages of this environment work together",
        "benchmark_train": "measure training steps: speed, parts, memory, and the share of what the device can do",
        "benchmark_zoo": "measure inference of the model zoo's networks and write the page of speed against accuracy",
        "benchmark_data": "measure what sampling and views cost beside the decode",
        "benchmark_annotations": "measure what a long list of videos costs",
        "soak_decoders": "open a video thousands of times and report how memory grows",
        "soak_elastic": "kill processes of small runs at random steps and compare how they end",
    },
    "write the tables of this repository": {
        "make_performance_table": "write the table of training speeds into docs/performance.md",
        "make_zoo_tables": "write the model zoo's costs and README",
    },
}
# What people type most has a shorter name; the module's own works too, with - or _.
SHORT = {
    "check_dataset": "check-data",
    "demo_app": "demo",
    "feat_extract": "features",
    "get_flops": "flops",
    "get_fps": "fps",
    "inference": "predict",
    "list_models": "list",
    "visualize_cam": "cam",
}
_USAGE = "usage: vidrec COMMAND [--help] ...       (or: python -m vidrec COMMAND ...)"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command by name; `--help`, no name or an unknown one lists them."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name in ("-V", "--version"):
        print(f"vidrec {vidrec.__version__}")
        return 0
    module = _modules().get(name.replace("_", "-"))
    if module:
        return importlib.import_module(f"vidrec.commands.{module}").main(rest)
    print(f"{_unknown(name)}\n{_USAGE}\n`vidrec --help` lists the commands." if name else _help(), file=sys.stderr)
    return 2


def _modules() -> dict[str, str]:
    """Every name of a command, with - for _: its module."""
    modules = [module for group in COMMANDS.values() for module in group]
    return {module.replace("_", "-"): module for module in modules} | {short: module for module, short in SHORT.items()}


def _unknown(name: str) -> str:
    modules = _modules()
    close = dict.fromkeys(_shown(modules[match]) for match in close_matches(name.replace("_", "-"), modules))
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"{name!r} is not a command of vidrec.{hint}"


def _shown(module: str) -> str:
    """The one name by which help and hints call a command."""
    return SHORT.get(module, module.replace("_", "-"))


def _help() -> str:
    """Every command once, by its short name, in groups; its other name stands at the end of its line."""
    lines = [_USAGE]
    for group, commands in COMMANDS.items():
        lines += ["", f"{group}:"]
        for module, what in commands.items():
            other = f" ({module})" if module in SHORT else ""
            lines.append(f"  {_shown(module):24}{what}{other}")
    return "\n".join([*lines, "", "`vidrec COMMAND --help` says what a command takes. Keys of a config: docs/, vidrec/config/defaults.py."])


if __name__ == "__main__":
    sys.exit(main())
