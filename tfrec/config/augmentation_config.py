"""How training sequences are varied."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class AugmentationConfig(StrictModel):
    """Crop, reorder and mask, in this order, each with its own probability per sequence; all off by default."""

    crop_probability: float = Field(0.0, ge=0, le=1, description="Share of sequences that are cropped.")
    crop_keep: float = Field(0.6, gt=0, lt=1, description="Share of consecutive events that a crop keeps (at least 2).")
    reorder_probability: float = Field(0.0, ge=0, le=1, description="Share of sequences that are reordered.")
    reorder_share: float = Field(0.3, gt=0, le=1, description="Share of consecutive events that are shuffled.")
    mask_probability: float = Field(0.0, ge=0, le=1, description="Share of sequences that are masked.")
    mask_share: float = Field(0.2, gt=0, le=1, description="Share of input events hidden behind index 1; targets stay.")

    @property
    def enabled(self) -> bool:
        """Whether any sequence is varied."""
        return max(self.crop_probability, self.reorder_probability, self.mask_probability) > 0
