"""The TFX pipeline: from Parquet logs to a pushed, checked model; see `python -m tfx_pipeline.run --help`.

It holds no model code: components call `tfrec`. One code base serves TFX 1.16 and 1.21.
"""

import tfrec  # noqa: F401  sets the Keras flags before TFX imports TensorFlow
