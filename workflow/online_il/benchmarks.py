"""The benchmarks: which data have them, what each is for, and what figures and tables call them."""

OF_DATA = {
    "miniature": ("id", "ood", "forgetting", "validation"),
    "countdown": ("id", "ood"),
    "gsm8k": ("gsm8k", "mmlu"),
    "deepscaler": ("aime2024", "math500"),
    "aime": ("aime2024", "aime2025"),
}
"""The benchmarks that each kind of data has."""

IN_DISTRIBUTION = ("id", "gsm8k", "aime2024", "aime2025", "math500")
OUT_OF_DISTRIBUTION = ("ood",)
FORGETTING = ("forgetting", "mmlu")
ORDER = (*IN_DISTRIBUTION, "validation", *OUT_OF_DISTRIBUTION, *FORGETTING)

TITLES = {
    "id": "in distribution",
    "gsm8k": "GSM8K",
    "aime2024": "AIME 2024",
    "aime2025": "AIME 2025",
    "math500": "MATH500",
    "ood": "out of distribution",
    "forgetting": "forgetting",
    "mmlu": "forgetting (MMLU)",
}
