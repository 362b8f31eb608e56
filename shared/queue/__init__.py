"""The doorbell: names of queues and tasks, and how a run is announced."""
