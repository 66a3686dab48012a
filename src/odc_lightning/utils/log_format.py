"""Log lines that no file name can forge."""

import logging

from odc_lightning.utils.text import printable_lines


class PrintableFormatter(logging.Formatter):
    """Escapes control characters of each record, and indents the lines after its first.

    All commands use it, see ``conf/hydra/job_logging/quiet.yaml``: names of files come from the
    outside and may hold escape sequences or line ends.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return printable_lines(super().format(record))
