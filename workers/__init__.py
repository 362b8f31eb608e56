"""The Celery edge: one thin task per stage, one runner, one steward."""
