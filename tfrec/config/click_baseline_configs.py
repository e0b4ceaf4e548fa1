"""Architecture of the click models that others are compared with."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.click_model_config import ClickModelConfig
from tfrec.config.strict_model import aliased


class DCNv2Config(ClickModelConfig):
    """Architecture of DCN-v2: a cross network beside a dense one.

    Reference: arXiv 2008.13535.
    """

    cross_layers: int = Field(2, ge=1, description="Cross layers.")


class AutoIntConfig(ClickModelConfig):
    """Architecture of AutoInt: self-attention among features beside a dense network.

    Reference: arXiv 1810.11921.
    """

    attention_layers: int = Field(2, ge=1, description="Attention layers.")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="Drop-out of attention weights.")


class DINConfig(ClickModelConfig):
    """Architecture of DIN: a list is summed by how relevant each entry is for the target.

    Reference: arXiv 1706.06978.
    """

    target: list[str] = Field(["inventory_id"], min_length=1, description="What the click is about, one per list.")
    sequence: list[str] = Field([], description="Lists, one per target; empty: all lists of ids.")
    relevance_hidden: list[int] = Field([64, 32], description="Hidden layers of the score of relevance.")
    activation: str = aliased("dice", "dnn_activations", "Activation of hidden layers.")  # type: ignore[assignment]


class LSTMConfig(ClickModelConfig):
    """Architecture of the competition's baseline: an LSTM over the list, batch norm and a dense network.

    Reference: the notebook of the Toss click competition.
    """

    hidden: list[int] = aliased([256, 128], "dnn_hidden_units", "Hidden layers of the network.")
    dropout: float = aliased(0.2, "net_dropout", "Drop-out of hidden layers.", ge=0, lt=1)
    lstm_units: int = Field(64, ge=1, description="Units of the LSTM.")
