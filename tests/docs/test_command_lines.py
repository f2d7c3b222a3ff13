"""What the pages tell a reader to type can be typed: known languages, tools that are there, flags that they take, configs that load."""

import re

import pytest
from blocks import OUTPUT, ROOT, SHELL, Block, pages, parse_blocks, read_blocks
from command_lines import help_of, mistakes_in
from markdown_it import MarkdownIt

BLOCKS = [block for page in pages() for block in read_blocks(page)]


def test_blocks_are_fenced_and_of_a_known_language():
    known = {*SHELL, *OUTPUT, "python", "yaml"}
    assert [f"{block.where}: {block.language or 'none'}" for block in BLOCKS if block.language not in known] == []


def test_only_commands_python_and_yaml_are_marked():
    marked = [block for block in BLOCKS if block.not_run or block.needs]
    assert [block.where for block in marked if block.language not in (*SHELL, "python", "yaml")] == []


def test_commands_that_are_not_run_are_right():
    unseen = [block for block in BLOCKS if block.language in SHELL and (block.not_run or block.needs)]
    assert [f"{block.where}: {mistake}" for block in unseen for mistake in mistakes_in(block.commands)] == []


def spans_of(page: str) -> list[str]:
    """The code within the sentences and tables of a page."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text(encoding="utf-8"))
    return [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]


def test_commands_within_sentences_are_right():
    whole = re.compile(r"python (tools/\S+\.py|-m vidrec \S+) (?!.*\.\.\.).+")
    commands = [(page, span) for page in pages() for span in spans_of(page) if whole.fullmatch(span)]
    assert [f"{page}: {mistake}" for page, command in commands for mistake in mistakes_in(command)] == []


def test_commands_and_options_that_sentences_name_are_there():
    named = re.compile(r"(?:python )?((?:vidrec [a-z]|tools/\w+(?:/\w+)?\.py).*)")
    commands = {match[1]: page for page in pages() for match in map(named.fullmatch, spans_of(page)) if match}
    wrong = []
    for command, page in commands.items():
        options = re.findall(r"--[a-z][a-z-]+", command)
        wrong += [f"{page}: `{command}`: {option}" for option in options if option not in help_of(command)]
    assert wrong == [] and len({help_of(command) for command in commands}) > 20


@pytest.mark.parametrize(
    ("command", "mistake"),
    [
        ("python tools/trian.py --config-file F", "No such file"),
        ("python tools/train_ddp_pytorch.py --confg F", "--config-file"),
        ("python tools/train_ddp_pytorch.py --config-file configs/demo/none.yaml", "configs/demo/none.yaml does not exist"),
        ("srun --nodes 2 python tools/train_ddp_pytorch.py --config-file configs/demo/i3d_tiny.yaml CONFIG.TRAIN.LR 0", "must be above 0"),
        ("A=1 sbatch -N 2 tools/slurm_train.sh --config-file configs/demo/i3d_tiny.yaml CONFIG.TRAIN.X 0", "not a config key"),
        ("torchrun --nprocs 2 tools/train_ddp_pytorch.py --config-file configs/demo/i3d_tiny.yaml", "--nprocs"),
        ("vidrec trian --config-file F", "status 2"),
        ("make no_such_target", "No rule to make target"),
        ("dance", "dance is no program that the documentation knows"),
    ],
)
def test_mistake_is_found_without_running(command, mistake):
    (found,) = mistakes_in(f"{command}  # a comment\n")
    assert mistake in found


@pytest.mark.parametrize(
    "command",
    [
        "torchrun --nproc-per-node 2 tools/train_ddp_pytorch.py \\\n    --config-file configs/demo/i3d_tiny.yaml CONFIG.TRAIN.LR 1",
        "vidrec train --config-file configs/demo/i3d_tiny.yaml && python -m vidrec list 'i3d*' | cat > names.txt",
        "HOSTS='a b' tools/ssh_train.sh --config-file configs/demo/i3d_tiny.yaml",
    ],
)
def test_right_command_passes(command):
    assert mistakes_in(command) == []


def test_comments_before_a_block_mark_it():
    page = (
        "<!-- not-run: takes\na day -->\n```bash\nmake demo\n```\n<!-- needs: ../shared -->\n\n```python\n# my/net.py\nx = 1\n```\n    ls\n"
    )
    assert parse_blocks(page, "p.md") == [
        Block("p.md", 3, "bash", "make demo\n", not_run="takes\na day"),
        Block("p.md", 8, "python", "# my/net.py\nx = 1\n", needs="../shared", file="my/net.py"),
        Block("p.md", 12, "indented", "ls\n"),
    ]


def test_console_runs_what_stands_behind_prompts():
    (block,) = parse_blocks("```console\n$ vidrec list\nname\n$ ls\n```\n", "p.md")
    assert block.commands == "vidrec list\nls\n"


def test_plain_block_that_begins_with_a_program_holds_commands():
    languages = [block.language for block in parse_blocks("```\npython x.py\n```\n\n```\nepoch 1\n```\n", "p.md")]
    assert languages == ["bash", ""]
