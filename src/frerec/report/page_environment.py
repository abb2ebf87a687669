"""What every page of the report is rendered with: its templates, its script, embedded files."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

_MIME = {".svg": "image/svg+xml", ".png": "image/png"}
_SCRIPT = "page.js"


@dataclass(frozen=True)
class PageScript:
    """The inline script, and the hash by which the page's policy knows it."""

    text: str
    sha256: str


def page_environment(package: str = "frerec.report") -> Environment:
    """Jinja with a package's ``templates``: everything escaped, nothing undefined."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embed"] = embed
    return environment


def page_script(environment: Environment) -> PageScript:
    """The script of the pages, as the browser reads it before it takes the hash."""
    assert environment.loader is not None
    source = environment.loader.get_source(environment, _SCRIPT)[0].replace("\r\n", "\n")
    digest = hashlib.sha256(source.encode()).digest()
    return PageScript(source, base64.b64encode(digest).decode("ascii"))


def embed(file: Path) -> str:
    """A file as a data: address."""
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:{_MIME[file.suffix]};base64,{content}"
