"""The limits on what we take in, as the settings have them."""

from shared.domain.audio import IntakeLimits
from shared.settings import Settings


def limits(settings: Settings) -> IntakeLimits:
    return IntakeLimits(settings.max_upload_bytes, settings.max_duration_s, settings.min_duration_s)
