"""Leaves that every layer may use; imports nothing from api, workers, pipelines or cli."""
