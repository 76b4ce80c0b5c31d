"""The Grafana dashboard shows metrics that Reprise publishes, and no others."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from deployments.prefect_settings import PROJECT
from recovery.metrics.series import BY_KIND, BY_SOURCE, names, path_names
from recovery.paths import PATHS
from recovery.settings import SETTINGS

DASHBOARD = json.loads((PROJECT / "deployments/grafana/reprise.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS: list[dict[str, Any]] = [target for panel in PANELS for target in panel["targets"]]
PUBLISHED = {
    path.name: {
        frozenset({"Path"}): set(path_names(path.counts)),
        frozenset({"Path", BY_KIND}): set(names(path.counts, BY_KIND)),
        frozenset({"Path", BY_SOURCE}): set(names(path.counts, BY_SOURCE)),
    }
    for path in PATHS.values()
}


def test_each_metric_is_published_with_just_these_dimensions() -> None:
    """CloudWatch answers a name or a set of dimensions that nobody publishes with an empty graph."""
    assert len(TARGETS) > 20
    for target in TARGETS:
        [path] = target["dimensions"]["Path"]
        assert target["metricName"] in PUBLISHED[path][frozenset(target["dimensions"])], target
        assert target["matchExact"] is True


def test_each_path_is_on_it() -> None:
    """Every metric that a path publishes stands on some panel."""
    shown = {(target["dimensions"]["Path"][0], target["metricName"]) for target in TARGETS}
    own = {(path.name, name) for path in PATHS.values() for name in path.counts.done}
    assert own <= shown
    assert {path for path, _ in shown} == set(PATHS)


def test_the_namespace_is_the_settings_own() -> None:
    """A variable of the dashboard, which begins with the setting's default; so does the data source."""
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    [setting] = [setting for setting in SETTINGS if setting.name == "REPRISE_METRICS_NAMESPACE"]
    assert variables["namespace"]["query"] == setting.default
    assert {target["namespace"] for target in TARGETS} == {"$namespace"}
    assert {target["datasource"]["uid"] for target in TARGETS} == {"${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    """Grafana moves panels that overlap, and mixes up those with one id."""
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for one, other in combinations([panel["gridPos"] for panel in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["description"] for panel in PANELS)
