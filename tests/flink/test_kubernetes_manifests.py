"""What deploy/flink/kubernetes/ gives to Kubernetes, against the schema of Flink's operator."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

MANIFEST = Path(__file__).parent.parent.parent / "deploy" / "flink" / "kubernetes" / "session-cluster.yaml"


def _closed(schema: Any) -> Any:
    """The schema with no member allowed beside those that it names: Kubernetes would drop a misspelt one in silence."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


@pytest.fixture(scope="module")
def spec_schema(flink_parts: Path) -> dict[str, Any]:
    """Of a FlinkDeployment's spec, pod templates included: the operator publishes it with its Java API."""
    [jar] = (flink_parts / "operator").glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        definition = yaml.load(archive.read("META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"), Loader=yaml.CSafeLoader)
    [version] = [one for one in definition["spec"]["versions"] if one["name"] == "v1beta1"]
    schema: dict[str, Any] = _closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return schema


@pytest.mark.timeout(3600)
def test_the_session_cluster_is_what_the_operator_takes(spec_schema: dict[str, Any]) -> None:
    """Every field is known, down to the sidecar's; one that is misspelt would be found."""
    manifest = yaml.safe_load(MANIFEST.read_text())

    assert (manifest["apiVersion"], manifest["kind"]) == ("flink.apache.org/v1beta1", "FlinkDeployment")
    jsonschema.validate(manifest["spec"], spec_schema)

    misspelt = copy.deepcopy(manifest["spec"])
    misspelt["taskManager"]["podTemplate"]["spec"]["containers"][1]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(misspelt, spec_schema)


def test_configuration_values_are_text() -> None:
    """Flink's operator takes no numbers and no booleans there."""
    assert all(isinstance(value, str) for value in yaml.safe_load(MANIFEST.read_text())["spec"]["flinkConfiguration"].values())
