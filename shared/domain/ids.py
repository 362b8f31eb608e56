"""Names for the ids that travel between layers; all are UUID strings except a speaker's."""

from typing import NewType

OwnerId = NewType("OwnerId", str)
JobId = NewType("JobId", str)
RunId = NewType("RunId", str)
UploadId = NewType("UploadId", str)
VoiceId = NewType("VoiceId", str)
SpeakerId = NewType("SpeakerId", str)  # "S1", "S2" … in order of first speech
