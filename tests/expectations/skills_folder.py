"""Writes a folder of two dozen skills in the forms that are found in the wild.

Each form appears several times: `skill_name` and `skill: {name}`, flat and nested scorers, plain
lists, keys of other tools, a routing skill without a manifest, ground truths written by hand and by
a recorder.
"""

from __future__ import annotations

import itertools
from pathlib import Path

__all__ = ["write_skills"]

_TOPICS = (
    "warehouse-tuning lake-ingestion metric-catalogue feature-lookup model-hosting batch-scoring "
    "notebook-style job-scheduling secret-scopes cluster-policies table-lineage stream-joins "
    "query-history dashboards-as-code row-masks volume-sync bundle-deploys cost-reports "
    "vector-indexes agent-evals data-contracts geo-functions change-feeds test-fixtures"
)

_FLAT = """\
---
skill_name: {name}
tool_modules: [sql, compute]   # read by another tool
description: |
  What {name} is about,
  over two lines.

triggers:
  - {name}

scorers:
  enabled:
    - python_syntax
    - sql_syntax
    - pattern_adherence
    - no_hallucinated_apis
    - expected_facts_present
  llm_scorers:
    - Safety
    - guidelines_from_expectations
  default_guidelines:
    - "The answer must finish what was asked, and check it"
    - 'Paths follow the pattern: /Volumes/catalog/schema/volume'
  trace_expectations:
    tool_limits:
      Bash: 40     # generous
      mcp__databricks__execute_sql: 10
    token_budget:
      max_total: 120000
    required_tools:
      - Read
    banned_tools: []
    expected_files:
      - "*.sql"

quality_gates:
  syntax_valid: 1.0
  pattern_adherence: 0.90
  no_hallucinated_apis: 1.0
  execution_success: 0.8
"""

_NESTED_NAME = """\
skill:
  name: "{name}"
  source_path: "skills/{name}"
  description: "About {name}"
version: 1.2.0

evaluation:
  datasets:
    - path: ground_truth.yaml
      type: yaml

scorers:
  enabled: [python_syntax, yaml_syntax]
  llm_scorers: [Safety, "Guidelines:house_style"]
  default_guidelines: [Write as a colleague would]
  trace_scorers: [tool_count, banned_tools]

trace_expectations:
  tool_limits: {{Bash: 5}}
  banned_tools: ["rm -rf", "DROP SCHEMA"]
"""

_TIERS = """\
skill: {{name: {name}}}
evaluation:
  datasets: [{{path: ground_truth.yaml, type: yaml}}]
  scorers:
    tier1: [python_syntax, sql_syntax, pattern_adherence]
    tier2: [execution_success]
    tier3: [Guidelines]
  quality_gates: {{tier1_pass_rate: 1.0, tier2_pass_rate: 0.8, tier3_pass_rate: 0.5}}
default_guidelines: [Name the catalogue]
"""

_LIST = """\
skill_name: {name}
scorers: [python_syntax, tool_count]
quality_gates:
"""

_BY_HAND = """\
test_cases:
  - id: "{name}_001"
    inputs:
      prompt: "Set up {name} for the sales schema"
    outputs:
      response: |
        Use this:

        ```sql
        CREATE OR REFRESH STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('/Volumes/a')
        ```
      execution_success: true
    expectations:
      expected_facts: ["STREAMING TABLE"]
      unexpected_facts: []
      expected_patterns:
        - "STREAMING\\\\s+TABLE"
        - pattern: "@dlt"
          min_count: 0
          max_count: 0
          description: "No legacy decorator"
      guidelines:
        - "Uses a volume"
      assertions:
        - "The statement can be run as it stands"
      trace_expectations:  # nested
        required_tools: [mcp__databricks__execute_sql]
        tool_limits: {{mcp__databricks__execute_sql: 3}}
    metadata:
      category: happy_path
      difficulty: easy
      tags: [sql, streaming]
  - id: "{name}_002"
    inputs: {{prompt: "And for one file"}}
    expectations:
      tool_limits: {{Bash: null}}
      expected_files: ["one.sql"]
    metadata: {{category: edge_case, trace_run_id: abc123}}
"""

_RECORDED = """\
metadata:
  skill_name: {name}
  version: 0.1.0
  created_at: '2026-02-13T16:00:00.000000'
test_cases:
- id: grp_20260213_161355
  inputs:
    prompt: Do {name}
  outputs:
    response: Done.
    execution_success: true
  expectations:
    expected_facts: []
    expected_patterns: []
    guidelines: []
  metadata:
    category: happy_path
    source: interactive
    created_at: 2026-02-13T16:13:55.785471
    execution_verified:
      mode: local
      verified_date: 2026-02-13
- id: grp_20260213_161954
  inputs: {{prompt: Undo it}}
  expectations: {{}}
  metadata:
"""

_ROUTING = """\
test_cases:
  - id: "one"
    inputs: {prompt: "Read the change feed of a table"}
    expectations:
      expected_skills: ["change-feeds"]
      is_multi_skill: false
    metadata: {category: "single_skill", reasoning: "it says so"}
  - id: "two"
    inputs: {prompt: "Mask rows and deploy it as a bundle"}
    expectations:
      expected_skills:
        - "row-masks"
        - "bundle-deploys"
      is_multi_skill: true
    metadata: {category: "multi_skill"}
  - id: "none"
    inputs: {prompt: "What is the weather like?"}
    expectations:
      expected_skills: []
      is_multi_skill: false
    metadata: {category: "no_match"}
"""


def write_skills(root: Path) -> Path:
    """Write the folder `root/skills` and return it: 24 skills and `_routing`."""
    folder = root / "skills"
    manifests = itertools.cycle((_FLAT, _NESTED_NAME, _TIERS, _LIST))
    truths = itertools.cycle((_BY_HAND, _RECORDED, _BY_HAND))
    for name, manifest, truth in zip(_TOPICS.split(), manifests, truths, strict=False):
        skill = folder / name
        skill.mkdir(parents=True)
        (skill / "manifest.yaml").write_text(manifest.format(name=name), encoding="utf-8")
        (skill / "ground_truth.yaml").write_text(truth.format(name=name), encoding="utf-8")
    routing = folder / "_routing"
    routing.mkdir()
    (routing / "ground_truth.yaml").write_text(_ROUTING, encoding="utf-8")
    return folder
