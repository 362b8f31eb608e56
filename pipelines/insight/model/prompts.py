"""Prompts as versioned data: one folder a version, one a language. What was asked can be looked up from a result."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

PROMPT_VERSION = "1"  # a new folder for every change of meaning: old results name the old one
FILES = ("code.md", "judge.md", "repair.md")


@dataclass(frozen=True, slots=True)
class Prompts:
    language: str
    version: str  # "1:en:3fa94c1b22d0": folder, language, hash of the texts
    texts: Mapping[str, str]
    markers: Mapping[str, str]  # id -> what it means

    def code(self, fence: str) -> str:
        listed = "\n".join(f"{key} {meaning}" for key, meaning in self.markers.items())
        return Template(self.texts["code.md"]).substitute(fence=fence, markers=listed)

    def judge(self, fence: str) -> str:
        return Template(self.texts["judge.md"]).substitute(fence=fence)

    def repair(self, fault: str, begin: str) -> str:
        return Template(self.texts["repair.md"]).substitute(fault=fault, begin=begin)


@cache
def prompts(language: str) -> Prompts:
    """For a report in en, ja or zh-TW."""
    folder = files("pipelines.insight").joinpath("prompts", f"v{PROMPT_VERSION}")
    texts = {name: folder.joinpath(language, name).read_text(encoding="utf-8") for name in FILES}
    known = json.loads(folder.joinpath("markers.json").read_text(encoding="utf-8"))
    markers = {key: meanings[language] for key, meanings in known.items()}
    digest = hashlib.sha256(json.dumps([texts, markers], sort_keys=True).encode()).hexdigest()[:12]
    return Prompts(language, f"{PROMPT_VERSION}:{language}:{digest}", texts, markers)
