"""Clients for served recommenders and click models: TensorFlow Serving's gRPC and REST behind one interface."""

from tfrec.serving.client.click_client import ClickClient
from tfrec.serving.client.model_metadata import ModelMetadata, Signature, TensorDeclaration, VersionStatus
from tfrec.serving.client.recommender_client import RecommenderClient
from tfrec.serving.client.results import ItemVectors, RankedItem, SessionStep
from tfrec.serving.client.retry_policy import RetryPolicy

__all__ = [
    "ClickClient",
    "ItemVectors",
    "ModelMetadata",
    "RankedItem",
    "RecommenderClient",
    "RetryPolicy",
    "SessionStep",
    "Signature",
    "TensorDeclaration",
    "VersionStatus",
]
