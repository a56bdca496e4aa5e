"""How responses are drawn from a policy."""

from pydantic import Field

from online_il.config.settings import Settings


class Sampling(Settings):
    """One way to draw responses from a policy (paper, Table 2)."""

    temperature: float = Field(1.0, ge=0.0, description="Softmax temperature; 0 is greedy.")
    top_k: int = Field(0, ge=0, description="Keep the k likeliest tokens; 0 keeps all.")
    top_p: float = Field(
        1.0, gt=0.0, le=1.0, description="Keep the likeliest tokens up to this mass."
    )
    max_new_tokens: int = Field(ge=1, description="Longest response, tokens; longer ones are cut.")
