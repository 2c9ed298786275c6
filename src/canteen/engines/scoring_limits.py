"""What can be scored at once."""

from canteen.core.errors import InvalidRequest
from canteen.core.generation import ScoreRequest

MOST_PROMPTS = 1024
MOST_CONTINUATIONS = 512


def check(request: ScoreRequest) -> None:
    """Raises InvalidRequest for prompts, or continuations, that are none or too many."""
    if not 1 <= len(request.prompts) <= MOST_PROMPTS:
        raise InvalidRequest(f"from 1 to {MOST_PROMPTS} prompts can be scored at once")
    for prompt in request.prompts:
        texts = prompt.continuations
        if not 1 <= len(texts) <= MOST_CONTINUATIONS or not all(texts):
            raise InvalidRequest(
                f"a prompt has from 1 to {MOST_CONTINUATIONS} continuations, none of them empty",
                param="labels",
            )
