"""Whisper on CTranslate2: windows of speech, decoding in batches, times of words, and what is not believed."""
