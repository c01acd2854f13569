"""What is asked of a Databricks workspace itself, by `databricks-sdk` alone.

Hosts, profiles and credentials are found as the SDK finds them: arguments of the environment
(`DATABRICKS_HOST`, …), else `~/.databrickscfg`, else the job or notebook that this runs in.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, SkillTraceError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

__all__ = ["export_secrets", "reworded", "workspace"]


# How the SDK tells an answer that is no workspace's, and a workspace an old personal token (a 403).
_UNREADABLE = "unable to parse response"
_TOKEN = re.compile(
    r"\b(invalid|expired)\b.*\btoken\b|\btoken\b.*\b(invalid|expired)\b", re.IGNORECASE
)
_DEBUG = re.compile(r"\.? Config: .*")
_NO_WORKSPACE = "what answers there is no Databricks workspace"
_REACHED = "look at the host (databricks auth profiles) and at the network"


def workspace(*, profile: str | None = None, patience: float = 20.0) -> WorkspaceClient:
    """A client for the workspace that the SDK is configured for; `profile` names one of
    `~/.databrickscfg`. What is not answered is asked again for `patience` seconds. Raises
    ConfigurationError where there is none.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

    with reworded("Databricks"):
        return WorkspaceClient(
            config=Config(
                profile=profile,
                http_timeout_seconds=patience,
                retry_timeout_seconds=max(1, round(patience)),
            )
        )


@contextmanager
def reworded(what: str) -> Iterator[None]:
    """The SDK's exceptions as ours, with the way out; `what` names what was wanted.

    What only says that nobody could be asked is an EvaluationError, all else a ConfigurationError.
    """
    from databricks.sdk.errors import (
        NotFound,
        PermissionDenied,
        ResourceDoesNotExist,
        Unauthenticated,
    )
    from databricks.sdk.errors.base import DatabricksError
    from requests import JSONDecodeError, RequestException

    try:
        yield
    except SkillTraceError:
        raise
    except (NotFound, ResourceDoesNotExist) as error:
        if _UNREADABLE in str(error):
            raise ConfigurationError(f"{what}: {_NO_WORKSPACE}; {_REACHED}") from None
        raise ConfigurationError(f"{what}: is not there ({_line(error)})") from None
    except (Unauthenticated, PermissionDenied) as error:
        if isinstance(error, Unauthenticated) or _TOKEN.search(str(error)):
            raise ConfigurationError(
                f"{what}: the workspace did not accept the credentials ({_line(error)}); the token "
                "may have expired: databricks auth login, or a new token in the profile"
            ) from None
        raise ConfigurationError(
            f"{what}: not allowed ({_line(error)}); ask for the grant, or check the token with "
            "databricks auth describe"
        ) from None
    except JSONDecodeError:
        raise ConfigurationError(f"{what}: {_NO_WORKSPACE}; {_REACHED}") from None
    except ValueError as error:  # no or contradictory configuration
        raise ConfigurationError(
            f"{what}: {_line(error)}; set one up with databricks auth login --host "
            "https://<workspace>, or name it with DATABRICKS_CONFIG_PROFILE"
        ) from None
    except (DatabricksError, RequestException, OSError, TimeoutError) as error:
        raise EvaluationError(
            f"{what}: the workspace did not answer ({_line(error.__cause__ or error)}); {_REACHED}"
        ) from None


def export_secrets(assignments: Sequence[str]) -> None:
    """Set environment variables of this process from secrets, each given as `NAME=SCOPE/KEY`.

    Serverless jobs have no environment variables of their own. Raises ConfigurationError for
    another form, and for a secret that is not there or not to be read.
    """
    wanted = [_assignment(text) for text in assignments]
    if not wanted:
        return
    client = workspace()
    for name, scope, key in wanted:
        with reworded(f"secret {scope}/{key}"):
            value = client.secrets.get_secret(scope, key).value
        if value is None:
            raise ConfigurationError(f"secret {scope}/{key}: is empty")
        os.environ[name] = base64.b64decode(value).decode("utf-8")


def _assignment(text: str) -> tuple[str, str, str]:
    name, _, place = text.strip().partition("=")
    scope, _, key = place.partition("/")
    if not (name.isidentifier() and scope and key):
        raise ConfigurationError(
            f"--secret {text!r}: write NAME=SCOPE/KEY, such as OPENAI_API_KEY=judges/openai"
        )
    return name, scope, key


def _line(error: BaseException) -> str:
    # Which settings the SDK used says little to who reads one line.
    text = _DEBUG.sub("", " ".join(str(error).split()))
    if _UNREADABLE in text:
        return "what it says is no workspace's answer"
    return text[:200] if text else type(error).__name__
