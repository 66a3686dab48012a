"""Lines of ``odc`` in this process: what is printed, and the exit code."""

import importlib
import io
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from hydra.core.global_hydra import GlobalHydra

from odc_lightning.cli import commands, odc


class Ended(NamedTuple):
    """How a command ended: its exit code, its output, and its messages with any traceback."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of a refused command; it is one line that begins with ``error:``."""
        assert self.code in (1, 2), self
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if not line.startswith("odc train: ")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        return lines[0].removeprefix("error: ")


def run_line(name: str, *arguments: str) -> Ended:
    """Run ``odc NAME ARGUMENTS``, as the command that takes the place of ``odc`` does."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = _run(name, arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        except Exception:
            traceback.print_exc()
            code = 1
        finally:
            sys.argv = before
    return Ended(code, out.getvalue(), err.getvalue())


def _run(name: str, arguments: Sequence[str]) -> int:
    try:
        words = odc.translated(name, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    main = importlib.import_module(f"odc_lightning.{name}").main
    GlobalHydra.instance().clear()
    sys.argv = [name, *words]
    return int(main() or 0) if commands.COMMANDS[name].is_hydra else int(main(words) or 0)
