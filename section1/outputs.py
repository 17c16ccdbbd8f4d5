"""Where a task publishes: a folder, or a prefix in a store."""

from __future__ import annotations

from pathlib import Path

from batch import s3_url
from batch.publish import Output
from section1.settings import ROOT, Settings


def configured(settings: Settings) -> Output:
    """The output that the settings name; nothing is touched yet."""
    folder = settings.output.folder
    if not s3_url.is_url(folder):
        return Output(Path(folder))
    from batch.s3_output import S3Output

    return S3Output(folder, ROOT / settings.s3.folder, settings.s3.lock_minutes)
