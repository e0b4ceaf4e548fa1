"""The public data sets by name."""

from __future__ import annotations

from tfrec.data.sources.beauty import BEAUTY
from tfrec.data.sources.coveo import COVEO
from tfrec.data.sources.diginetica import DIGINETICA
from tfrec.data.sources.movielens_1m import MOVIELENS_1M
from tfrec.data.sources.movielens_100k import MOVIELENS_100K
from tfrec.data.sources.public_dataset import PublicDataset
from tfrec.data.sources.rees46 import REES46
from tfrec.data.sources.retailrocket import RETAILROCKET
from tfrec.data.sources.rsc15 import RSC15
from tfrec.data.sources.tianchi import TIANCHI
from tfrec.data.sources.toss import TOSS
from tfrec.data.sources.yoochoose import YOOCHOOSE
from tfrec.data.sources.yoochoose_100k import YOOCHOOSE_100K
from tfrec.errors import ConfigError, did_you_mean

PUBLIC_DATASETS = {
    dataset.name: dataset
    for dataset in (
        RSC15,
        YOOCHOOSE,
        REES46,
        COVEO,
        RETAILROCKET,
        DIGINETICA,
        YOOCHOOSE_100K,
        MOVIELENS_100K,
        MOVIELENS_1M,
        BEAUTY,
        TOSS,
        TIANCHI,
    )
}


def public_dataset(name: str) -> PublicDataset:
    """Returns a public data set.

    Raises:
        ConfigError: The name is unknown; the closest one is named.
    """
    if name not in PUBLIC_DATASETS:
        raise ConfigError(f"Unknown data set `{name}`.", remedy=did_you_mean(name, PUBLIC_DATASETS))
    return PUBLIC_DATASETS[name]
