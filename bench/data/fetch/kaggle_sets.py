"""Data sets of Kaggle, through kagglehub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.download import CONNECT_SECONDS, timed
from bench.core.errors import DataError


@dataclass(frozen=True)
class KaggleFacts:
    """Bytes to download, licence and newest version of a data set; None if Kaggle has none."""

    size: int | None
    licence: str | None
    version: int | None


def ask_kaggle(handle: str) -> KaggleFacts:
    """Return Kaggle's facts about a data set. Raises DataError, one line, if Kaggle cannot be reached."""
    try:
        found = timed(2 * CONNECT_SECONDS, lambda: _view(handle))
    except Exception as error:
        raise _unreachable(handle, error) from None
    return KaggleFacts(found.total_bytes, found.license_name, found.current_version_number)


def download_from_kaggle(handle: str, version: int | None) -> Path:
    """Return the folder of the data set in kagglehub's cache, downloading it if it is missing.

    kagglehub resumes interrupted downloads and compares Kaggle's checksum. Raises DataError.
    """
    try:
        return Path(_download(handle if version is None else f"{handle}/versions/{version}"))
    except Exception as error:
        raise _unreachable(handle, error) from None


def _view(handle: str) -> Any:
    from kagglehub.clients import build_kaggle_client
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = handle.split("/")
    with build_kaggle_client() as client:
        return client.datasets.dataset_api_client.get_dataset(request)


def _download(handle: str) -> str:
    import logging

    import kagglehub

    # It would write to standard output.
    logging.getLogger("kagglehub").setLevel(logging.ERROR)
    return str(kagglehub.dataset_download(handle))


def _unreachable(handle: str, error: Exception) -> DataError:
    import requests

    why = " ".join(str(error).split())[:160] or type(error).__name__
    if isinstance(error, requests.ConnectionError):
        why = "no connection"
    return DataError(
        f"https://www.kaggle.com/datasets/{handle} cannot be downloaded ({why}); try again, with "
        "KAGGLE_USERNAME and KAGGLE_KEY if it asks for an account, or unpack that page's archive yourself"
    )
