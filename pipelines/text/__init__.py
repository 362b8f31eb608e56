"""Words, speakers, sentences, exports."""
