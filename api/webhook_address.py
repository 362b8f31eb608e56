"""Where a webhook may point: the same rules as for a recording's address."""

from api.intake import url_source
from shared.domain.errors import InvalidInput, SourceError
from shared.toolbox import Toolbox


def check_address(tools: Toolbox, url: str) -> str:
    """What can be told without asking the network; the sender checks at every try what the name resolves to."""
    try:
        url_source(tools, url)
    except SourceError as error:
        refused = InvalidInput(f"This cannot be a webhook: {error.message}")
        refused.code = "webhook_refused"
        raise refused from error
    return url
