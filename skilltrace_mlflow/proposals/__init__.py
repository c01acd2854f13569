"""Expectations proposed from recorded sessions."""

from skilltrace_mlflow.proposals._propose import Proposal, propose, to_yaml

__all__ = ["Proposal", "propose", "to_yaml"]
