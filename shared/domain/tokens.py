"""How many tokens a text will be, guessed from its script: no provider's tokenizer is at hand before it is asked."""

# Han, kana, Hangul and full-width forms: where one character is about one token.
_WIDE = ((0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
WIDE_TOKENS = 1.1  # Chinese has about 1.03 a character by o200k, Japanese 0.65
OTHER_TOKENS = 0.3  # English prose has about 0.23 a character, line numbers and JSON more


def estimate_tokens(text: str) -> int:
    """On the high side, so that what was planned for is enough."""
    wide = sum(any(first <= ord(letter) <= last for first, last in _WIDE) for letter in text)
    return round(wide * WIDE_TOKENS + (len(text) - wide) * OTHER_TOKENS) + 1
