"""Settings of an expert that answers over the network, behind an OpenAI-compatible API."""

from pydantic import Field

from online_il.config.settings import Settings

# No user or password, no query: a secret has no place in a config.
URL = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Endpoint(Settings):
    """A model behind an OpenAI-compatible API: a provider's, or an own `vllm` server.

    A server's own defaults fill in what a request leaves out: start an own vLLM server with
    `--generation-config vllm`, or it cuts to the top k of the model's generation_config.json.
    """

    url: str = Field(
        pattern=URL,
        description="Address of the API, up to /chat/completions: https://api.deepseek.com/v1.",
    )
    model: str = Field(min_length=1, description="Name of the model at the endpoint.")
    key_variable: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Environment variable that holds the key; none for a server without keys.",
    )
    concurrency: int = Field(32, ge=1, le=1000, description="Requests in flight at once, at most.")
    retries: int = Field(
        8, ge=0, le=100, description="How often a failed request is repeated before it is given up."
    )
    timeout_seconds: float = Field(
        1800, gt=0, description="Longest time for one request, from its start to its last byte."
    )
    price_input: float = Field(
        0.0, ge=0, description="US dollars a million prompt tokens (discounts for caches left out)."
    )
    price_output: float = Field(
        0.0, ge=0, description="US dollars a million response tokens, reasoning included."
    )
