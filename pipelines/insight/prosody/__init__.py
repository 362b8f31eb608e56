"""How each speaker sounds: pitch, loudness, pauses and the evenness of the voice, from the recording itself."""
