"""`python -m vidrec COMMAND ...`: the same commands as the files in tools/, for an installed wheel."""

import importlib
import sys

COMMANDS = {
    "train": "train a network from one YAML file",
    "test": "test a network with many views per video",
    "check_dataset": "examine every video of a config's lists, write a manifest and cleaned lists",
    "make_shards": "write the videos of a list into tar shards with an index",
    "make_demo_data": "write the demo data set",
    "browse_dataset": "draw clips as the network sees them, with labels and augmentation, into a picture",
    "plot_run": "draw losses, accuracies and learning rates of runs into a picture",
    "prepare": "write lists and class maps of a downloaded data set",
    "benchmark_data": "measure what sampling and views cost beside the decode",
    "benchmark_annotations": "measure what a long list of videos costs",
    "compare_decoders": "say which decoder gives a video's true frames, and what it costs",
    "soak_decoders": "open a video thousands of times and report how memory grows",
    "replay_batch": "run the batch of a step that went wrong once more and say where it begins",
    "benchmark_train": "measure training steps: speed, parts, memory, and the share of what the device can do",
    "get_fps": "measure inference: clips and videos per second, and how long one clip takes",
    "make_performance_table": "write the table of training speeds into docs/performance.md",
    "soak_elastic": "kill processes of small runs at random steps and compare how they end",
    "get_flops": "count multiply-adds, parameters and activations of a config's network",
    "list_models": "list the model zoo with clips, costs and published accuracies",
    "make_zoo_tables": "write the model zoo's costs and README",
    "convert_weights": "turn any weights file into one of vidrec, and back",
    "check_install": "check that the packages of this environment work together",
}


def main(argv: list[str]) -> int:
    """Runs a command by name; `-h`, no name or an unknown one lists them."""
    if argv and argv[0].replace("-", "_") in COMMANDS:
        return importlib.import_module(f"vidrec.commands.{argv[0].replace('-', '_')}").main(argv[1:])
    lines = "\n".join(f"  {name:22} {what}" for name, what in COMMANDS.items())
    wanted = bool(argv) and argv[0] in ("-h", "--help")
    problem = "" if wanted or not argv else f"{argv[0]!r} is not a command.\n"
    print(f"{problem}usage: python -m vidrec COMMAND [--help]\n\ncommands:\n{lines}", file=sys.stdout if wanted else sys.stderr)
    return 0 if wanted else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
