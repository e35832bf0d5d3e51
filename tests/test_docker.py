"""The images, as far as no engine is needed: linted, by the Makefile's steps, real settings."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.serving.options import ServeSettings
from tests.audit import verdict

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
FILES = ["Dockerfile", "Dockerfile.gpu"]
SETTING = re.compile(r"SEMID_SERVE_(\w+)")


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def _steps(name: str) -> list[str]:
    """Return a Dockerfile's instructions, each on one line."""
    text = (DOCKER / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _linted(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_linter_finds_nothing(name: str) -> None:
    _linted(BIN / "hadolint", DOCKER / name)


def test_compose_keeps_its_schema() -> None:
    checker = BIN / "check-jsonschema"
    _linted(checker, "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(("name", "extra"), [("Dockerfile", "cpu"), ("Dockerfile.gpu", "gpu")])
def test_an_image_is_installed_by_the_makefile(name: str, extra: str) -> None:
    steps = _steps(name)
    runs = [step for step in steps if step.startswith("RUN")]
    [install] = [step for step in runs if "make install" in step]
    assert not any("pip" in step for step in runs)
    made = subprocess.run(
        [*install.split()[1:], "--dry-run", "--always-make"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"--editable '.[{extra}]'" in made
    environment = re.search(r"(\.venv\S*)/bin/pip", made)
    assert environment is not None
    assert any(f"PATH=/semid/{environment[1]}/bin" in step for step in steps)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    copied = {
        step.split()[1] for step in steps if step.startswith("COPY") and len(step.split()) == 3
    }
    assert {name.rstrip("*") for name in packages["packages"]["find"]["include"]} <= copied
    assert {f"{name}.py" for name in packages["py-modules"]} <= copied
    for step in steps:
        if step.startswith("COPY") and "--from" not in step:
            assert all((ROOT / source).exists() for source in step.split()[1:-1]), step


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_no_root_and_tells_its_health(name: str) -> None:
    steps = _steps(name)
    assert [step for step in steps if step.startswith("USER")] == ["USER 10001"]
    assert any(step.startswith("HEALTHCHECK") and ":9000/health/live" in step for step in steps)


def test_settings_are_those_of_the_command() -> None:
    texts = [*map("\n".join, map(_steps, FILES)), str(_compose())]
    for text in texts:
        named = {name.lower() for name in SETTING.findall(text)}
        assert named
        assert named <= ServeSettings.model_fields.keys()


def test_two_replicas_stand_behind_a_proxy_on_one_database() -> None:
    services = _compose()["services"]
    assert services["api"]["deploy"]["replicas"] == 2
    assert "ports" not in services["api"]
    assert "ports" not in services["database"]
    assert services["migrate"]["command"] == ["db", "upgrade"]
    for name in ("api", "migrate"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert "@database/semid" in services[name]["environment"]["SEMID_SERVE_DATABASE"]
        assert services[name]["environment"]["SEMID_SERVE_KEYS"]
    proxied = (DOCKER / "Caddyfile").read_text()
    assert "dynamic a api 8000" in proxied
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"]
    assert (
        scraped[0]["dns_sd_configs"][0] | {"names": ["api"], "port": 9000}
        == (scraped[0]["dns_sd_configs"][0])
    )
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (
                not source.startswith("./") or source == "./config" or (DOCKER / source).exists()
            ), volume


def test_an_audit_fails_on_what_is_known_alone() -> None:
    sound = {"name": "a", "version": "1", "vulns": []}
    unasked = {"name": "b", "skip_reason": "not found"}
    faulty = sound | {"vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
    assert verdict([sound, unasked]) == ("1 of 2 packages audited, no known vulnerability", 0)
    assert verdict([faulty, unasked])[1] == 1
    assert "a 1: X-1, mended in 2" in verdict([faulty])[0]
    for nothing in ([], [unasked]):
        said, code = verdict(nothing)
        assert code == 0
        assert "not audited" in said
