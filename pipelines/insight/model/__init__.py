"""Coaching analysis by a language model: what is asked, what is checked, and what of it reaches the report."""
