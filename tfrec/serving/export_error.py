"""What is wrong with an export."""

from __future__ import annotations

from tfrec.errors import TfrecError


class ExportError(TfrecError):
    """An export does not answer as the model it was made from, or could not be served at all."""

    exit_code = 6
