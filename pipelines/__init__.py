"""What we do to audio: plain functions and state machines over ports."""
