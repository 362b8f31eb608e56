"""Live connections: transports only. What flows through them is decided in shared and pipelines."""
