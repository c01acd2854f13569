"""Characters that the shell grammar cannot take: it is given others, and the words stay."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands import _shell_nodes
from skilltrace_mlflow.commands.shell import read_script
from tests.checks.judging import bash, verdict

_WIDE = st.text(
    st.sampled_from("a/._") | st.characters(min_codepoint=0xE100, exclude_categories=["Cs"]),
    min_size=1,
    max_size=8,
).filter(lambda text: re.fullmatch(r"[^\s�-￿]+", text) is not None)


@given(_WIDE)
@settings(max_examples=100, deadline=None)
def test_words_keep_their_characters(word: str) -> None:
    line = f"cat '{word}' \"{word}\" > x"
    assert read_script(line).commands[0].words == ("cat", word, word)
    assert read_script(line).commands[0].source.startswith(f"cat '{word}'")


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_the_grammar_is_given_the_first_plane_alone(text: str) -> None:
    masked = _shell_nodes._masked(text)
    assert all(ord(char) < 0x10000 for char in masked)
    assert len(masked) == len(text)
    assert _shell_nodes.unmasked(masked.encode("utf-8", "replace")) == text.encode(
        "utf-8", "replace"
    ).decode("utf-8", "replace")


def test_files_are_known_by_such_names() -> None:
    value = {"forbidden": ["🚀.env"]}
    assert verdict("file_scope", value, bash("echo x > 🚀.env"), cwd="/repo") == "fail"
    assert verdict("file_scope", value, bash("echo x > 🛸.env"), cwd="/repo") == "pass"
    assert verdict("banned_tools", ["touch 🚀"], bash("sudo touch 🚀")) == "fail"


@pytest.mark.parametrize("seed", range(2))
def test_no_text_ends_the_process(seed: int) -> None:
    script = (
        "import random\n"
        "from skilltrace_mlflow.commands.shell import read_script\n"
        f"random.seed({seed})\n"
        "signs = ['${', '{', '<<', '`', \"'\", '(', '#', ' ', '\\n', 'a']\n"
        "for _ in range(1500):\n"
        "    wide = lambda: chr(random.randrange(0x10000, 0x110000))\n"
        "    parts = [random.choice([wide(), random.choice(signs)]) for _ in range(30)]\n"
        "    read_script(''.join(parts))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
