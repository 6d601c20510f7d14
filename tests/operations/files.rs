//! The files in `ops/`: dashboard and alerts query existing metrics only, and the pages cover every metric, flag and
//! alert.

use std::{collections::BTreeSet, path::Path};

use clap::CommandFactory;
use readout::{config::Args, telemetry::metrics::METRICS};
use serde_json::Value;

use crate::support::repository::{File, files, read, root};

const PAGES: [&str; 4] = ["deploy.md", "reference.md", "runbook.md", "faults.md"];

/// Log messages that the pages quote.
const QUOTED_MESSAGES: [&str; 7] = [
    "the certificates cannot be renewed, and the old ones stay in use",
    "a connection was dropped for silence",
    "a position is missing in the feed",
    "the feed could not be read",
    "a defect of the service: a panic",
    "still reindexing",
    "a caller is held back: it has its share",
];

fn file(name: &str) -> String {
    read(Path::new("ops").join(name))
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|char| char.is_alphanumeric() || matches!(char, '-' | '_')).collect()
}

/// The names of metrics in a text, without the suffixes of a histogram's series.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = text.split(|char| !is_part(char));
    let names = words.filter(|word| word.starts_with("readout_"));
    names
        .map(|name| ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end)).into())
        .collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_exist() {
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
fn dashboard_takes_any_data_source_and_its_panels_do_not_overlap() {
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
fn every_alert_has_a_description_and_a_test() {
    let (alerts, tests) = (file("alerts.yaml"), file("alerts_test.yaml"));
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 10);
    for rule in rules {
        let name = rule.lines().next().expect("a name");
        for needed in ["severity:", "summary:", "description:", "runbook_url: ops/runbook.md#"] {
            assert!(rule.contains(needed), "{name}: {needed}");
        }
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

#[test]
fn runbook_has_a_section_for_each_alert_and_no_other() {
    let (alerts, runbook) = (file("alerts.yaml"), file("runbook.md"));
    let alerts: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    let sections: Vec<&str> = runbook.split("\n## Readout").skip(1).collect();
    assert_eq!(sections.len(), alerts.len());
    for alert in alerts {
        let name = alert.lines().next().expect("a name");
        assert!(alert.contains(&format!("runbook_url: ops/runbook.md#{}\n", anchor(name))), "{name}");
        let heading =
            |section: &&&str| section.lines().next().map(|end| format!("Readout{end}")) == Some(name.to_owned());
        let section = sections.iter().find(heading).unwrap_or_else(|| panic!("{name} has no section"));
        for part in ["Meaning", "First look", "Cause", "Action"] {
            assert!(section.contains(&format!("\n- **{part}**: ")), "{name}: {part}");
        }
    }
}

#[test]
fn reference_lists_every_flag_with_its_variable() {
    let reference = file("reference.md");
    let command = Args::command();
    let serve = command.find_subcommand("serve").expect("a command");
    for argument in serve.get_arguments().filter(|argument| argument.get_id() != "help") {
        let flag = argument.get_long().expect("a flag");
        let variable = argument.get_env().expect("a variable").to_str().expect("ASCII");
        let row = reference.lines().find(|line| line.starts_with("| `--") && line.contains(&format!("`--{flag}")));
        assert!(row.is_some_and(|row| row.contains(&format!("`{variable}"))), "--{flag}, {variable}");
    }
}

#[test]
fn reference_lists_every_metric_and_no_other() {
    let listed = metrics_in(&file("reference.md"));
    for metric in METRICS {
        assert!(listed.contains(metric.name), "{}", metric.name);
    }
    for name in listed.iter().filter(|name| !matches!(name.as_str(), "readout_" | "readout_role" | "readout_scope")) {
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
    }
}

#[test]
fn links_to_operator_pages_lead_to_a_heading() {
    let anchors = |page: &str| -> BTreeSet<String> {
        let page = file(page);
        let headings = page.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
    };
    for File { path, text } in ["docs", "ops"].into_iter().flat_map(|folder| files(folder, "md")) {
        let is_operator_page = path.parent().is_some_and(|parent| parent.ends_with("ops"));
        let own_name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let name = match target.split_once("ops/") {
                Some((_, name)) => name,
                None if is_operator_page && target.is_empty() => own_name,
                None if is_operator_page && !target.contains('/') => target,
                None => continue,
            };
            assert!(root().join("ops").join(name).exists(), "{}: {link}", path.display());
            assert!(heading.is_empty() || anchors(name).contains(heading), "{}: {link}", path.display());
        }
    }
}

#[test]
fn fault_evidence_names_modules_of_tests_that_exist() {
    let is_module = |word: &&str| {
        let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, ':' | '_');
        !word.is_empty() && word.chars().all(is_part)
    };
    let evidence = file("faults.md");
    // Code is every second part between backticks.
    let cells = evidence.lines().filter_map(|line| line.split(" | ").nth(2));
    let modules: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(is_module).collect();
    assert!(modules.len() > 20, "{modules:?}");
    for module in modules {
        let path = root().join("tests").join(module.replace("::", "/"));
        assert!(path.is_dir() || path.with_extension("rs").exists(), "{module}");
    }
}

#[test]
fn quoted_log_messages_are_logged() {
    let pages = PAGES.map(file).concat();
    // Wrapped lines of the pages are joined.
    let pages = pages.split_whitespace().collect::<Vec<_>>().join(" ");
    let sources: String = files("src", "rs").into_iter().map(|file| file.text).collect();
    for message in QUOTED_MESSAGES {
        assert!(pages.contains(message), "no page quotes: {message}");
        assert!(sources.contains(&format!("\"{message}")), "no source logs: {message}");
    }
}
