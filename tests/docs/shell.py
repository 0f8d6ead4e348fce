"""A block of commands taken apart, as far as it takes to check each command against what there is."""

import re
import shlex
import shutil
from typing import Any

from typer.main import get_command

from service.cli import app as serve
from tests.docs.pages import Block
from training.cli import app as train

PROGRAMS = {"intently-train": get_command(train), "intently-serve": get_command(serve)}
NEEDS = {
    "docker": "needs Docker",
    "git": "needs the repository's server",
    "gh": "needs the repository's server",
    "helm": "needs a Kubernetes cluster",
    "kubectl": "needs a Kubernetes cluster",
    "make": "builds, tests or measures the whole; that the target exists is checked",
    "pip": "needs a package index",
    "redis-cli": "speaks to a Redis of yours",
    "redis-server": "starts a Redis of yours",
    "rsync": "copies between machines",
    "torchrun": "trains in two processes; tests/training/test_distributed.py does",
}
ELSEWHERE = re.compile(r"\b10\.\d+\.\d+\.\d+\b|\.internal\b|\b(s3|gs|sftp)://")
_KEYWORDS = {"do", "done", "else", "export", "fi", "for", "if", "then", "while"}
_SEPARATORS = set("();<>|&\n")


def commands(text: str) -> list[list[str]]:
    """The words of each simple command, without comments, redirections, and variables that are set before it."""
    bare = re.sub(r"(^|\s)#[^\n]*", r"\1", text.replace("\\\n", " "))
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="".join(_SEPARATORS))
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if word and set(word) <= _SEPARATORS:
            redirected = bool(set(word) & set("<>"))
            found += [] if redirected else [[]]
        elif redirected:
            redirected = False
        elif found[-1] or not (word in _KEYWORDS or re.match(r"[A-Za-z_]+=", word)):
            found[-1].append(word)
    return [words for words in found if words]


def cannot_run(block: Block) -> str | None:
    """Why not, or None."""
    programs = {words[0] for words in commands(block.text)}
    needed = list(dict.fromkeys(NEEDS[program] for program in sorted(programs & NEEDS.keys())))
    needed += ["names machines that are not here"] if ELSEWHERE.search(block.text) else []
    missing = [f"{program} is not installed" for program in sorted(programs - NEEDS.keys()) if not _is_there(program)]
    return block.not_run or "; ".join([*needed, *missing]) or None


def _is_there(program: str) -> bool:
    return program in PROGRAMS or shutil.which(program) is not None


def misprint(words: list[str]) -> str | None:
    """What a command of ours would refuse about its own words: name, options, how many arguments."""
    command: Any = PROGRAMS[words[0]]
    rest = words[1:]
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    try:
        given, left, _ = command.make_parser(command.context_class(command)).parse_args(rest)
    except Exception as error:  # of click, or of what typer carries of it
        return f"{' '.join(words)}: {error}"
    if left:
        return f"{' '.join(words)}: too many arguments"
    missing = [its.name for its in command.params if its.required and not isinstance(given.get(its.name), str | list)]
    return f"{' '.join(words)}: misses {', '.join(missing)}" if missing else None
