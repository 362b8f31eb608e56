"""How it felt: pleasant or unpleasant by words, calm or stirred by voice, each against its own scale."""
