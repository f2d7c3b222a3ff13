"""Which operator, of which module, keeps a network from being exported."""

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from types import TracebackType

from torch import nn
from torch.export import ExportedProgram

from vidrec.utils.errors import UserError

_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)'")


@contextlib.contextmanager
def export_errors(module: nn.Module, how: str) -> Iterator[None]:
    """What the body raises while it captures a network becomes one UserError, and what torch prints of the graph is kept back."""
    noise, torch_log = io.StringIO(), logging.getLogger("torch")
    level = torch_log.level
    torch_log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
            yield
    except UserError:
        raise
    except Exception as error:  # torch.export raises whatever the network's own code does
        raise UserError(
            f"{how} cannot capture this network: {place(module, error.__traceback__)}: {type(error).__name__}, {first_line(error)}"
            " Every operation must be one of tensors whose sizes and choices do not depend on their values. Write that operation"
            " another way, or export another network."
        ) from error
    finally:
        torch_log.setLevel(level)


def place(model: nn.Module, trace: TracebackType | None) -> str:
    """The innermost module of a network in which something was raised, and the line.

    Example: `module backbone.stages.0 (MyBlock, my_blocks.py:12)`
    """
    names = {id(module): name for name, module in model.named_modules()}
    found = "an unknown module"
    while trace is not None:
        frame = trace.tb_frame
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in names and not _is_call(frame.f_code.co_name):
            line = f"{frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
            found = f"module {names[id(owner)] or '(the whole network)'} ({type(owner).__name__}, {line})"
        trace = trace.tb_next
    return found


def onnx_error(program: ExportedProgram, error: Exception) -> UserError:
    """One message for what the ONNX exporter raised: the operator that ONNX lacks, and the modules that use it."""
    message = "\n".join(str(cause) for cause in chain(error))
    operator = _OPERATOR.search(message)
    if not operator:
        return UserError(f"ONNX cannot express this network: {first_line(list(chain(error))[-1])} Try another --opset, or --format torch.")
    used = users(program, operator[1])
    where = f" of {', '.join(used[:3])}{' ...' if len(used) > 3 else ''}" if used else ""
    return UserError(
        f"The operator {operator[1]}{where} cannot be exported to ONNX: the exporter has no translation of it. Only operators with one can"
        " be. Use --format torch, which takes every operator, or another operator there."
    )


def users(program: ExportedProgram, operator: str) -> list[str]:
    """The modules of a program that use an operator, or one that is decomposed into it: `backbone.stages.0`."""
    base, found = operator.rpartition(".")[2], []
    for node in program.graph.nodes:
        if node.op == "call_function" and str(node.target).split(".")[1:2] and str(node.target).split(".")[1].endswith(base):
            stack = list(node.meta.get("nn_module_stack", {}).values())
            path = stack[-1][0] if stack else ""
            found.append(f"module {path or '(the whole network)'}")
    return list(dict.fromkeys(found))


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the outermost first."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def first_line(error: BaseException) -> str:
    """Of an error's message, without colors, with a full stop."""
    text = re.sub(r"\x1b\[\d+m", "", str(error)).strip().split("\n")[0].strip() or "no message"
    return text if text.endswith(".") else f"{text}."


def _is_call(function: str) -> bool:
    return function in ("_call_impl", "_wrapped_call_impl")
