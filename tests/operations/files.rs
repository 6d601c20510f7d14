//! The dashboard and the alert rules that stand in `ops/`: they ask for nothing that is not there.

use std::{collections::BTreeSet, fs, path::PathBuf};

use readout::telemetry::metrics::METRICS;
use serde_json::Value;

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ops").join(name);
    fs::read_to_string(path).expect("it is there")
}

/// The names of metrics in a text, without what a histogram's series have behind it.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = text.split(|char| !is_part(char));
    let names = words.filter(|word| word.starts_with("readout_"));
    names
        .map(|name| ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end)).into())
        .collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_there_are() {
    for name in ["dashboard.json", "alerts.yaml", "alerts_test.yaml"] {
        let named = metrics_in(&file(name));
        assert!(named.len() > 5, "{name}: {named:?}");
        for metric in named {
            assert!(METRICS.iter().any(|known| known.name == metric), "{name}: {metric}");
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let shown = metrics_in(&file("dashboard.json"));
    for metric in METRICS {
        assert!(shown.contains(metric.name), "{}", metric.name);
    }
}

#[test]
fn the_dashboard_takes_any_data_source_and_its_panels_do_not_overlap() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).expect("JSON");
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!((&variable["name"], &variable["type"]), (&"datasource".into(), &"datasource".into()));
    let panels = dashboard["panels"].as_array().expect("panels");
    let rows: Vec<_> = panels.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].clone()).collect();
    assert_eq!(rows, ["Traffic", "Errors", "Latency", "Load", "Feed", "Database", "Process"]);
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")));
        let at = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}

#[test]
fn every_alert_says_what_it_means_and_has_a_test() {
    let (alerts, tests) = (file("alerts.yaml"), file("alerts_test.yaml"));
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 10);
    for rule in rules {
        let name = rule.lines().next().expect("a name");
        for needed in ["severity:", "summary:", "description:", "runbook_url: ops/README.md#"] {
            assert!(rule.contains(needed), "{name}: {needed}");
        }
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}
