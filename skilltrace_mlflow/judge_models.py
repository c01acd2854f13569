"""Whether the model that a model-based scorer would call can be called at all.

Asked before a run, so that a missing key is one clear message and not a failing call per row.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["default_model", "missing_setup"]

# Environment variables, any group of which is enough, by the provider in `provider:/model`.
_NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "anthropic": (("ANTHROPIC_API_KEY",),),
    "azure": (("AZURE_API_KEY", "AZURE_API_BASE"), ("AZURE_OPENAI_API_KEY",)),
    "bedrock": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE",),
        ("AWS_ROLE_ARN",),
        ("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    "databricks": (
        ("DATABRICKS_HOST",),
        ("DATABRICKS_CONFIG_PROFILE",),
        ("DATABRICKS_RUNTIME_VERSION",),
    ),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "groq": (("GROQ_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",),),
    "openai": (("OPENAI_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",),),
    "togetherai": (("TOGETHERAI_API_KEY",),),
    "xai": (("XAI_API_KEY",),),
}
_DATABRICKS_CONFIG = "~/.databrickscfg"


def default_model() -> str:
    """The model that MLflow's scorers use when none is given, as MLflow itself decides it."""
    from mlflow.genai.judges.utils import get_default_model

    return str(get_default_model())


def missing_setup(model: str | None = None) -> str | None:
    """What must be set before `model` can be called, None if nothing is known to be missing.

    `model` is MLflow's `provider:/name`; without one, MLflow's default. Providers that are not
    listed here (gateways, local servers) are taken on trust: whoever names one has set it up.
    """
    named = model or default_model()
    provider = named.partition(":")[0].lower()
    if provider == "endpoints":
        provider = "databricks"
    groups = _NEEDS.get(provider)
    if groups is None or any(all(os.environ.get(name) for name in group) for group in groups):
        return None
    if provider == "databricks" and Path(_DATABRICKS_CONFIG).expanduser().exists():
        return None
    ways = " or ".join(" and ".join(group) for group in groups)
    chosen = "" if model else ", or another model in MLFLOW_GENAI_JUDGE_DEFAULT_MODEL,"
    return f"the model {named} needs {ways}{chosen} in the environment; --no-llm leaves it out"
