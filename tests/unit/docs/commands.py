"""What a line of shell would call, read without running it; and what is wrong with it.

Only as much of the shell as the pages use: pipes, ``&&``, ``;``, ``$(…)``, settings before a
command, comments, redirections.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import yaml
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from cyclopts import App, CycloptsError

from headrace_admin.main import app as headrace_admin
from headrace_client.command.main import app as headrace
from tests.unit.docs.checkout import ROOT

_OF_THE_SHELL = frozenset({"sed", "printf", "echo", "export", "mkdir", "cd", "cat"})
_SETTING = re.compile(r"[A-Za-z_]+=")
_TO_NOTHING = {"--output", "--query", "--region", "--profile", "--no-cli-pager"}
"""What every command of ``aws`` takes."""


def calls(text: str) -> Iterator[list[str]]:
    """The commands of a block, in words, those within ``$(…)`` on their own."""
    text = re.sub(r"\\\n\s*", " ", text)
    for inner in re.findall(r"\$\(((?:[^()]|\([^()]*\))*)\)", text):
        yield from calls(inner)
    text = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "OUTPUT", text)
    for line in text.splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if not set(word) <= set("|&;"):
                words.append(word)
            elif words:
                yield _command(words)
                words = []


def _command(words: list[str]) -> list[str]:
    """Without settings before it and redirections behind it."""
    while words and _SETTING.match(words[0]):
        words = words[1:]
    for at, word in enumerate(words):
        if set(word) <= set("<>") and word:
            return words[:at]
    return words


def problem_of(words: list[str]) -> str | None:
    """Why this command could not be called, or None."""
    if not words or words[0] in _OF_THE_SHELL:
        return None
    program = words[0].rpartition("/")[2]
    if words[0].startswith(".") and not (ROOT / words[0]).exists():
        return f"there is no {words[0]}"
    judges: dict[str, Callable[[list[str]], str | None]] = {
        "make": _make,
        "aws": _aws,
        "sam": _sam,
        "curl": _curl,
        "python": _python,
        "python3": _python,
        "pytest": _pytest,
        "pre-commit": _pre_commit,
        "headrace": lambda arguments: _of(headrace, arguments),
        "headrace-admin": lambda arguments: _of(headrace_admin, arguments),
    }
    judge = judges.get(program)
    return judge(words[1:]) if judge is not None else f"nobody knows what {program} is"


def _of(app: App, words: list[str]) -> str | None:
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return None


def _make(words: list[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.M)
    for word in words:
        name, given, value = word.partition("=")
        if not given and word not in targets:
            return f"there is no target {word}"
        if given and not re.search(rf"\b{name}\b", makefile) and not _read(name):
            return f"nothing reads {name}"
        if name == "BENCH":
            return _python(["-m", "benchmarks", *shlex.split(value)])
    return None


def _read(variable: str) -> bool:
    """Does what make starts with them in its environment look at the variable."""
    return any(
        re.search(rf'[(\[]"{variable}"', path.read_text())
        for folder in ("system", "security")
        for path in (ROOT / "tests" / folder).rglob("*.py")
    )


def _python(words: list[str]) -> str | None:
    if words[0] == "-c":
        compile(words[1], "a command", "exec")
        return None
    if words[0] != "-m":
        return None if (ROOT / words[0]).exists() else f"there is no {words[0]}"
    said = _help(sys.executable, "-m", words[1])
    return _unknown(said, words[2:])


def _pytest(words: list[str]) -> str | None:
    paths = [word for word in words if not word.startswith("-")]
    return next((f"there is no {path}" for path in paths if not (ROOT / path).exists()), None)


def _pre_commit(words: list[str]) -> str | None:
    known = (ROOT / ".pre-commit-config.yaml").exists() and words == ["install"]
    return None if known else "there is nothing to install"


def _sam(words: list[str]) -> str | None:
    wrong = _unknown(_help(str(ROOT / ".tools/sam/bin/sam"), words[0]), words[1:])
    if wrong is None and "--config-env" in words:
        name = words[words.index("--config-env") + 1]
        if f"[{name}.{words[0]}.parameters]" not in (ROOT / "samconfig.toml").read_text():
            return f"samconfig.toml has no {name}"
    return wrong


def _curl(words: list[str]) -> str | None:
    said = _help("curl", "all", flag="--help")
    options = [word for word in words if re.fullmatch(r"-[A-Za-z]|--[a-z-]+", word)]
    if unknown := [one for one in options if not re.search(rf"^ *.*{one}\b", said, re.M)]:
        return f"curl has no {unknown}"
    paths = yaml.safe_load((ROOT / "openapi" / "openapi.yaml").read_text())["paths"]
    for word in words:
        _, ours, path = word.partition("$API")
        if ours and path.partition("?")[0] not in paths:
            return f"the API has no {path}"
    return None


def _unknown(said: str, words: list[str]) -> str | None:
    """The options and words that a program's help does not name; numbers are values."""
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("-") and not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said):
            return f"there is no {name}"
    return None


@cache
def _help(*command: str, flag: str | None = None) -> str:
    arguments = [command[0], flag, *command[1:]] if flag else [*command, "--help"]
    done = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _aws(words: list[str]) -> str | None:
    """By AWS's own models, of which the command line is made."""
    service, operation, *options = words
    loader: Any = Loader()
    described = loader.load_service_model(service, "service-2")
    model = ServiceModel(described, service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return f"{service} has no {operation}"
    shape = model.operation_model(names[operation]).input_shape
    known = {f"--{xform_name(member, '-')}": member for member in (shape.members if shape else {})}
    given = [word for word in options if word.startswith("--")]
    if unknown := set(given) - known.keys() - _TO_NOTHING:
        return f"{service} {operation} has no {sorted(unknown)}"
    required = shape.required_members if shape else []
    if missing := [name for name in required if name not in {known.get(one) for one in given}]:
        return f"{service} {operation} wants {missing}"
    return None


def script_is_whole(text: str) -> bool:
    """Does bash read it to its end."""
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    return done.returncode == 0
