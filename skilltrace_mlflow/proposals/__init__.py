"""Expectations proposed from recorded sessions, and the test cases that are made of them."""

from skilltrace_mlflow.proposals._propose import Proposal, propose, to_yaml
from skilltrace_mlflow.proposals.recorded import Appended, append_case

__all__ = ["Appended", "Proposal", "append_case", "propose", "to_yaml"]
