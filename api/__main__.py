"""`python -m api --host 127.0.0.1 --port 8080` serves the API."""

import argparse

import uvicorn

from api.head import PatientHttp
from api.live.patience import MOST_BYTES, PatientWebSockets
from shared.observe.counting import count_together

DRAIN_S = 20  # running uploads may end; event streams are told to come back at once


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=1, help="processes that answer; they count together")
    chosen = parser.parse_args()
    count_together("api")
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        http=PatientHttp,
        ws=PatientWebSockets,
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,  # frames are small, and a compressor of its own costs each socket 64 kB
        log_config=None,  # ours, set by create_app
        access_log=False,  # the observing middleware writes one line a request, without addresses
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )


if __name__ == "__main__":
    main()
