"""The dashboard for Grafana, as far as it can be judged without one."""

from itertools import combinations
from typing import Any

import pytest

from tests.unit.grafana import dashboard, expressions
from tests.unit.promql import metrics_in, unknown_in

PANELS: list[dict[str, Any]] = dashboard()["panels"]


@pytest.mark.parametrize("expression", [*expressions(dashboard())])
def test_an_expression_uses_metrics_that_exist(expression: str) -> None:
    """Proves: no panel stays empty because a metric has another name, or is gone."""
    assert metrics_in(expression)
    assert not unknown_in(expression)


def test_every_panel_shows_something() -> None:
    """Proves: a panel that is no heading has an expression, a title and the chosen data source."""
    for panel in PANELS:
        assert panel["title"]
        if panel["type"] != "row":
            assert [*expressions(panel)], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_it_has_the_form_that_grafana_documents() -> None:
    """Proves: Grafana's classic model can be read: a version of it that has all that is used, kinds
    of panels that every Grafana has, one letter for each expression of a panel, and a data source
    that the reader chooses."""
    whole = dashboard()
    assert whole["schemaVersion"] >= 36
    (chosen,) = [each for each in whole["templating"]["list"] if each["name"] == "datasource"]
    assert (chosen["type"], chosen["query"]) == ("datasource", "prometheus")
    assert {panel["type"] for panel in PANELS} <= {"row", "stat", "state-timeline", "timeseries"}
    for panel in PANELS:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len({*letters}) == len(letters), panel["title"]
        for target in panel.get("targets", ()):
            assert target["datasource"] == panel["datasource"], panel["title"]


def test_panels_have_their_own_place() -> None:
    """Proves: no two panels have one id or lie upon each other, and none leaves the page."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert not (meets(one, other, "x", "w") and meets(one, other, "y", "h"))


def meets(one: dict[str, int], other: dict[str, int], start: str, size: str) -> bool:
    """Whether two places overlap in one direction."""
    return one[start] < other[start] + other[size] and other[start] < one[start] + one[size]


def test_one_charging_point_can_be_chosen() -> None:
    """Proves: the variable cp_id is there, and each panel of charging points goes by it."""
    assert "cp_id" in {each["name"] for each in dashboard()["templating"]["list"]}
    for panel in PANELS:
        for target in panel.get("targets", ()):
            if "{{cp_id}}" in target["legendFormat"]:
                assert 'cp_id=~"$cp_id"' in target["expr"], panel["title"]
