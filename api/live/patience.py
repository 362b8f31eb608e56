"""The server's side of a WebSocket, with an end for every connection.

uvicorn closes a connection in order: what was written is sent first. To a client that does not read that takes for
ever, and holds what was buffered for it. So a while after the application is through, the connection is cut.
"""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_BYTES = 1024 * 1024  # of one message, whoever asks for it; each transport has a smaller limit of its own
CUT_AFTER_S = 15.0  # more than the 10 s in which a client answers a close


class PatientWebSockets(WebSocketsSansIOProtocol):
    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(CUT_AFTER_S, self.transport.abort)
