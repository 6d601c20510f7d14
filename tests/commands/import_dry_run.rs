//! `readout import --dry-run` prints what the import would print, and writes nothing.

use std::{fs, path::Path};

use readout::pb::{ListMeetingsRequest, Meeting};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{
    line,
    random_register::{self, anonymous, assert_same_lines},
};
use crate::support::{
    Service,
    program::{Ran, run},
};

/// Imports files with these options. The totals are JSON, all errors are printed.
pub async fn import_with(service: &Service, options: &[&str], files: &[&Path]) -> Ran {
    let address = service.address.to_string();
    let fixed = ["import", "--server", &address, "--output", "json", "--all-errors"];
    run(fixed.iter().chain(options).map(Path::new).chain(files.iter().copied())).await
}

/// A line with a meeting of these people in Baku on a day of September 2020.
pub fn meeting_line(uri: &str, people: &[Value], day: u32) -> String {
    let participations: Vec<Value> = (0..people.len())
        .map(|index| json!({"id": index.to_string(), "participant": format!("#{index}"), "presence": "PRESENT"}))
        .collect();
    let entry = |(index, person)| json!({"key": format!("{index}"), "participant": person});
    let date = json!({"start": {"year": 2020, "month": 9, "day": day}});
    let place = json!({"regionCode": "AZ", "locality": "Baku"});
    let account = json!({
        "kind": "TALKS", "status": "HELD", "date": date, "place": place, "participations": participations,
    });
    json!({
        "article": {"uri": uri},
        "participants": people.iter().enumerate().map(entry).collect::<Vec<_>>(),
        "reports": [{"key": "r", "account": account}],
    })
    .to_string()
}

pub fn person(name: &str, more: &Value) -> Value {
    let mut person = json!({"kind": "PERSON", "displayName": name, "regionCode": "AZ"});
    for (field, value) in more.as_object().expect("an object") {
        person[field] = value.clone();
    }
    person
}

#[tokio::test]
async fn dry_run_sees_the_earlier_lines_of_all_files_and_writes_nothing() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    let ids = json!({"externalIds": [{"scheme": "wikidata", "value": "Q1"}], "names": [{"text": "Heydar Oglu"}]});
    let (ali, gul) = (person("Ali", &json!({})), person("Gul", &json!({})));
    let lines = [
        meeting_line("urn:1", &[ali.clone(), gul.clone()], 1),
        // The same meeting, of persons who are there.
        meeting_line("urn:2", &[ali.clone(), gul.clone()], 1),
        // A person alone, who learns a name and an id.
        json!({"article": {"uri": "urn:3"}, "participants": [{"key": "a", "participant": person("ALI", &ids)}]})
            .to_string(),
        "{".to_owned(),
    ];
    fs::write(&first, lines.join("\n")).unwrap();
    let lines = [
        // The learned name.
        meeting_line("urn:4", &[person("Heydar Oglu", &json!({})), gul.clone()], 1),
        meeting_line("urn:1", &[ali, gul], 1),
        json!({"article": {"uri": "urn:1", "title": "Other"}}).to_string(),
        line("urn:5", &[]).replace("\"TALKS\"", "\"SPEECH\""),
    ];
    fs::write(&second, lines.join("\n")).unwrap();

    let files = [first.as_path(), second.as_path()];
    let options = ["--meeting-matching", "same"];
    let planned = import_with(&service, &[&options[..], &["--dry-run"]].concat(), &files).await;
    assert!(service.all_changes().await.is_empty());
    let listed = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap().into_inner();
    assert!(listed.meetings.is_empty());

    let imported = import_with(&service, &options, &files).await;
    assert_eq!(anonymous(&planned), anonymous(&imported));
    let totals: Value = serde_json::from_str(&imported.stdout).unwrap();
    let expected = json!({
        "stories": 5, "articles": 4, "meetings": 1, "reports": 3, "participants": 2, "created": 10, "matched": 0,
        "failed": 2, "differs": 1, "updated": 1, "joined": 2,
    });
    assert_eq!(totals, expected, "{imported:?}");

    // Against what is stored now.
    let planned = import_with(&service, &[&options[..], &["--dry-run", "--allow-update"]].concat(), &files).await;
    let before = service.all_changes().await.len();
    let imported = import_with(&service, &[&options[..], &["--allow-update"]].concat(), &files).await;
    assert_eq!(anonymous(&planned), anonymous(&imported));
    assert_eq!(service.all_changes().await.len(), before + 1, "one article is updated");
}

/// A line whose reports, one for each list of external ids, tell of meetings of a person.
fn line_with_ids(uri: &str, person: &Value, day: u32, reports: &[&[&str]]) -> String {
    let mut story: Value =
        serde_json::from_str(&meeting_line(uri, std::slice::from_ref(person), day)).expect("a story");
    let report = |(index, ids): (usize, &&[&str])| {
        let mut account = story["reports"][0]["account"].clone();
        let id = |value: &&str| json!({"scheme": "register", "value": value});
        account["externalIds"] = ids.iter().map(id).collect();
        // Reports are not equal.
        account["title"] = json!(format!("Talks {index}"));
        json!({"key": format!("r{index}"), "account": account})
    };
    story["reports"] = reports.iter().enumerate().map(report).collect();
    story.to_string()
}

/// Imports lines after a dry run, compares both, and returns the totals and the errors.
async fn import_after_dry_run(lines: &[String], options: &[&str]) -> (Service, Value, String) {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("lines");
    fs::write(&file, lines.join("\n")).unwrap();
    let planned = import_with(&service, &[options, &["--dry-run"]].concat(), &[&file]).await;
    assert!(service.all_changes().await.is_empty());
    let imported = import_with(&service, options, &[&file]).await;
    assert_same_lines(&anonymous(&planned), &anonymous(&imported), "dry run");
    (service, serde_json::from_str(&imported.stdout).unwrap(), imported.stderr)
}

#[tokio::test]
async fn dry_run_adds_reports_to_the_meetings_of_earlier_lines_by_external_ids() {
    let [ali, gul] = ["Ali", "Gul"].map(|name| person(name, &json!({})));
    let lines = [
        line_with_ids("urn:1", &ali, 1, &[&["a"]]),
        // Other people on another day: only the id is the same. The meeting gets a second id.
        line_with_ids("urn:2", &gul, 9, &[&["a", "b"]]),
        line_with_ids("urn:3", &ali, 20, &[&["b"]]),
        // Two reports of one story that share an id with each other, and one of the first meeting.
        line_with_ids("urn:4", &gul, 2, &[&["c", "d"], &["d"], &["b"]]),
        line_with_ids("urn:5", &ali, 3, &[&["c"]]),
        // Ids of two meetings.
        line_with_ids("urn:6", &ali, 3, &[&["a", "c"]]),
        line_with_ids("urn:7", &ali, 3, &[&["a", "e"], &["e", "d"]]),
        // The refused lines took no ids.
        line_with_ids("urn:8", &ali, 3, &[&["e"]]),
        // The same line again, and an article that tells of the meeting twice.
        line_with_ids("urn:3", &ali, 20, &[&["b"]]),
        line_with_ids("urn:3", &ali, 21, &[&["b"]]),
    ];
    let (service, totals, errors) = import_after_dry_run(&lines, &[]).await;
    assert_eq!((&totals["meetings"], &totals["failed"]), (&json!(3), &json!(2)), "{totals} {errors}");
    assert_eq!(errors.matches("DUPLICATE_MEETING").count(), 2, "{errors}");
    let listed = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap().into_inner();
    let ids = |meeting: &Meeting| {
        let ids = meeting.account.iter().flat_map(|account| &account.external_ids);
        (ids.map(|id| id.value.as_str()).collect::<String>(), meeting.report_count)
    };
    let mut found: Vec<(String, i32)> = listed.meetings.iter().map(ids).collect();
    found.sort();
    assert_eq!(found, [("ab".to_owned(), 5), ("cd".to_owned(), 3), ("e".to_owned(), 1)]);
}

#[tokio::test]
async fn dry_run_makes_one_report_of_equal_accounts_and_matches_it_later() {
    let [ali, gul] = ["Ali", "Gul"].map(|name| person(name, &json!({})));
    let mut twice: Value = serde_json::from_str(&meeting_line("urn:1", &[ali.clone(), gul.clone()], 1)).unwrap();
    let mut second = twice["reports"][0].clone();
    second["key"] = json!("s");
    twice["reports"].as_array_mut().unwrap().push(second);
    let once = meeting_line("urn:1", &[ali, gul], 1);
    let (_, totals, said) =
        import_after_dry_run(&[twice.to_string(), once.clone(), twice.to_string(), once], &[]).await;
    let counts = ["stories", "reports", "meetings", "failed"].map(|count| totals[count].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 1, 0], "{totals} {said}");
    assert!(said.contains("tells the same account as"), "{said}");
}

#[tokio::test]
async fn dry_run_settles_meetings_with_the_regions_and_kinds_of_planned_participants() {
    let [ali, gul] = ["Ali", "Gul"].map(|name| person(name, &json!({})));
    let bank = person("Bank", &json!({"kind": "ORGANIZATION"}));
    // The participations have no presence and no region. The bank only speaks in the first line.
    let line = |uri: &str, people: &[&Value], speaker: bool| {
        let people: Vec<Value> = people.iter().map(|person| (*person).clone()).collect();
        let mut story: Value = serde_json::from_str(&meeting_line(uri, &people, 1)).unwrap();
        let account = &mut story["reports"][0]["account"];
        for participation in account["participations"].as_array_mut().unwrap() {
            participation.as_object_mut().unwrap().remove("presence");
        }
        if speaker {
            account["statements"] = json!([{"speakers": ["2"], "text": "Welcome."}]);
        }
        story.to_string()
    };
    let lines = [
        line("urn:1", &[&ali, &gul, &bank], true),
        line("urn:2", &[&ali, &gul], false),
        line("urn:3", &[&ali, &gul, &bank], false),
        line("urn:4", &[&gul, &bank], false),
        line("urn:5", &[&ali, &gul], false),
    ];
    let (_, totals, said) = import_after_dry_run(&lines, &["--meeting-matching", "same"]).await;
    assert_eq!(totals["failed"], 0, "{said}");
    assert!(totals["joined"].as_u64().unwrap() >= 2, "{totals}");
}

#[tokio::test]
async fn dry_run_of_random_registers_prints_what_the_import_prints() {
    for seed in 0..4 {
        let service = Service::start().await;
        let dir = tempdir().unwrap();
        let files = [dir.path().join("a"), dir.path().join("b")];
        for (file, number) in files.iter().zip(0..) {
            fs::write(file, random_register::lines(2 * seed + number, 150).join("\n")).unwrap();
        }
        // Not SETTLED: the settling of persons, which a dry run does not see, would depend on the time.
        let matching = ["exact", "none"][usize::try_from(seed).unwrap() % 2];
        for (file, update) in [(&files[0], &[][..]), (&files[1], &["--allow-update"]), (&files[0], &["--allow-update"])]
        {
            let options = [&["--participant-matching", matching, "--meeting-matching", "same"], update].concat();
            let planned = import_with(&service, &[&options[..], &["--dry-run"]].concat(), &[file]).await;
            let imported = import_with(&service, &options, &[file]).await;
            let what = format!("seed {seed}, {options:?}");
            assert_same_lines(&anonymous(&planned), &anonymous(&imported), &what);
        }
    }
}

#[tokio::test]
async fn dry_run_refuses_an_export() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export");
    fs::write(&file, r#"{"header":{"format":"readout.v1","contractVersion":1}}"#).unwrap();
    for option in ["--dry-run", "--allow-update", "--edition=wikidata"] {
        let ran = import_with(&service, &[option], &[&file]).await;
        assert_eq!(ran.code, Some(2));
        let problem = format!(" is an export: {} is for stories\n", option.split('=').next().unwrap());
        assert!(ran.stderr.ends_with(&problem), "{ran:?}");
    }
}
