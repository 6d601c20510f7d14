//! The registers of `examples/register`: questions about the imported stories have the answers that plain code finds in
//! the rows.

use std::{collections::BTreeMap, fs};

use readout::pb::{AggregateMeetingsRequest, ListMeetingsRequest, ListParticipantsRequest};

use crate::support::{Service, program::run, repository::root};

/// A row of a register, by the names of the columns.
type Row = BTreeMap<String, String>;

/// The rows of a register. A field in quotes has no quotes in it.
fn rows(register: &str) -> Vec<Row> {
    let text = fs::read_to_string(root().join(format!("examples/register/{register}.csv"))).expect("the register");
    let mut lines = text.lines().map(|line| {
        let parts = line.split('"').enumerate();
        let fields = parts.map(|(index, part)| if index % 2 == 0 { part.replace(',', "\n") } else { part.to_owned() });
        fields.collect::<String>().split('\n').map(str::to_owned).collect::<Vec<String>>()
    });
    let columns = lines.next().expect("a heading");
    let rows: Vec<Row> = lines.map(|fields| columns.iter().cloned().zip(fields).collect()).collect();
    assert!(rows.iter().all(|row| row.len() == columns.len()), "{rows:?}");
    rows
}

/// True if the days of a row overlap those between two dates.
fn is_between(row: &Row, first: &str, last: &str) -> bool {
    row["start"].as_str() <= last && row["end"].as_str() >= first
}

struct Register {
    service: Service,
    rows: Vec<Row>,
}

impl Register {
    async fn import(register: &str) -> Self {
        let service = Service::start().await;
        let file = root().join(format!("examples/register/{register}.ndjson"));
        let address = service.address.to_string();
        let options = ["import", "--server", &address, "--output", "json", file.to_str().expect("UTF-8")];
        for changes in [&["--dry-run"][..], &[]] {
            let ran = run(options.iter().chain(changes)).await;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        }
        Self { service, rows: rows(register) }
    }

    /// The ids of the rows whose meetings match a filter.
    async fn found(&self, filter: &str) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.to_owned(), page_size: 1000, ..Default::default() };
        let meetings = self.service.meetings.clone().list_meetings(request).await.expect(filter).into_inner().meetings;
        let ids = meetings.into_iter().flat_map(|meeting| meeting.account.unwrap_or_default().external_ids);
        let mut ids: Vec<String> = ids.map(|id| id.value).collect();
        ids.sort_by_key(|id| id.parse::<u32>().expect("a number"));
        ids
    }

    /// Asks for the meetings of a filter, and compares them with the rows.
    async fn ask(&self, filter: &str, expected: impl Fn(&Row) -> bool) {
        let rows: Vec<String> = self.rows.iter().filter(|row| expected(row)).map(|row| row["id"].clone()).collect();
        assert_eq!(self.found(filter).await, rows, "{filter}");
        assert!(!rows.is_empty() && rows.len() < self.rows.len(), "{filter} tells rows apart");
    }

    /// The counts of meetings by a word of `group_by`.
    async fn counts(&self, word: &str, filter: &str) -> BTreeMap<String, usize> {
        let request = AggregateMeetingsRequest {
            filter: filter.to_owned(),
            group_by: vec![word.to_owned()],
            ..Default::default()
        };
        let groups = self.service.meetings.clone().aggregate_meetings(request).await.expect(word).into_inner().groups;
        groups
            .into_iter()
            .map(|group| (group.keys[word].clone(), usize::try_from(group.meeting_count).unwrap()))
            .collect()
    }

    /// The participant with a name.
    async fn person(&self, name: &str) -> String {
        let request = ListParticipantsRequest { filter: format!("name = \"{name}\""), ..Default::default() };
        let found = self.service.participants.clone().list_participants(request).await.unwrap().into_inner();
        assert_eq!(found.participants.len(), 1, "{name}");
        found.participants.into_iter().next().expect("one").name
    }
}

/// The numbers of rows by a value.
fn counted(rows: &[Row], value: impl Fn(&Row) -> String) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    rows.iter().for_each(|row| *counts.entry(value(row)).or_default() += 1);
    counts
}

fn year(row: &Row) -> String {
    row["start"][..4].to_owned()
}

#[tokio::test]
async fn questions_about_visits_have_the_answers_of_the_rows() {
    let register = Register::import("visits").await;
    let visitor = |text: &'static str| move |row: &Row| row["visitor"].contains(text);
    let starts = |text: &'static str| move |row: &Row| row["description"].to_lowercase().starts_with(text);
    register.ask("date = 2012", |row| is_between(row, "2012-01-01", "2012-12-31")).await;
    register.ask("date = 2012-05-22", |row| is_between(row, "2012-05-22", "2012-05-22")).await;
    register.ask("date = 2002", |row| is_between(row, "2002-01-01", "2002-12-31")).await;
    register.ask("date < 1980", |row| row["start"].as_str() < "1980").await;
    register.ask("date >= 1985-09-10", |row| row["end"].as_str() >= "1985-09-10").await;
    register.ask("region = NL", |row| row["country_key"] == "netherlands").await;
    register
        .ask("region = BO AND date > 2001-02", |row| row["country"] == "Bolivia" && row["end"].as_str() > "2001-02-31")
        .await;
    register.ask("visit_type = STATE", starts("state visit")).await;
    register.ask("visit_type = WORKING", starts("working visit")).await;
    register
        .ask("NOT (region = NL OR region = LV)", |row| !["Netherlands", "Latvia"].contains(&row["country"].as_str()))
        .await;
    register
        .ask("region = YU OR region = HV OR region = SU", |row| {
            ["Yugoslavia", "Upper Volta", "U.S.S.R."].contains(&row["country"].as_str())
        })
        .await;
    let vriesman = register.person("Hanneke Vriesman").await;
    register.ask(&format!("participant = \"{vriesman}\""), visitor("Vriesman")).await;
    let quiroga = register.person("tomas quiroga peral").await;
    register
        .ask(&format!("participant = \"{quiroga}\" AND visit_type = STATE"), |row| {
            visitor("Quiroga")(row) && starts("state visit")(row)
        })
        .await;
    let liepkalne = register.person("Dace Liepkalne").await;
    register
        .ask(&format!("participant((participant = \"{liepkalne}\" AND role = VISITOR))"), visitor("Liepkalne"))
        .await;
    assert_eq!(register.counts("year", "").await, counted(&register.rows, year));
    assert_eq!(register.counts("month", "").await, counted(&register.rows, |row| row["start"][..7].to_owned()));
    assert_eq!(register.counts("place.region", "").await, BTreeMap::from([("US".to_owned(), register.rows.len())]));
}

#[tokio::test]
async fn questions_about_travels_have_the_answers_of_the_rows() {
    let register = Register::import("travels").await;
    register.ask("date = 1991", |row| is_between(row, "1991-01-01", "1991-12-31")).await;
    register.ask("date = 1963-03-12", |row| is_between(row, "1963-03-12", "1963-03-12")).await;
    register.ask("place.region = DE", |row| row["country_key"] == "germany").await;
    register.ask("place.region = GL", |row| row["country"].contains("Greenland")).await;
    register
        .ask("place.region = CI OR place.region = CD OR place.region = XK", |row| {
            ["cote-d-ivoire", "congo", "kosovo"].contains(&row["country_key"].as_str())
        })
        .await;
    register.ask("place.locality = \"tromsø\" OR place.locality = OSLO", |row| row["places"].contains("Oslo")).await;
    register.ask("place.locality = canberra", |row| row["places"].contains("Canberra")).await;
    register.ask("place.region = SU", |row| row["country"] == "U.S.S.R.").await;
    register.ask("external_id = \"travels:7\"", |row| row["id"] == "7").await;
    register.ask("participant((seniority = 1))", |row| row["role"] == "president").await;
    register
        .ask("participant((seniority = 2)) AND date >= 2000", |row| {
            row["role"] == "secretary" && row["end"].as_str() >= "2000"
        })
        .await;
    for (name, text) in [("Walter G. Harlow", "Harlow"), ("Ernst August Lindqvist", "Lindqvist")] {
        let person = register.person(name).await;
        register.ask(&format!("participant = \"{person}\""), |row| row["traveller"].contains(text)).await;
        let filter = format!("participant = \"{person}\" AND date < 1975");
        register.ask(&filter, |row| row["traveller"].contains(text) && row["start"].as_str() < "1975").await;
        let own: Vec<Row> = register.rows.iter().filter(|row| row["traveller"].contains(text)).cloned().collect();
        let counts = register.counts("year", &format!("participant = \"{person}\"")).await;
        assert_eq!(counts, counted(&own, year));
    }
    assert_eq!(register.counts("month", "").await, counted(&register.rows, |row| row["start"][..7].to_owned()));
}
