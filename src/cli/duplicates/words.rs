//! A pair in words, for readers at a terminal. All text is escaped.

use crate::{
    cli::escape,
    pb::{IdentityReason, Participant, list_duplicates_response::Duplicate},
};

/// Describes a pair, with a line end after each line.
pub fn describe(pair: &Duplicate) -> String {
    let mut lines = vec![format!("{}, score {:.2}", pair.level().as_str_name(), pair.score)];
    for (number, participant) in [(1, &pair.participant), (2, &pair.other)] {
        let participant = participant.as_ref();
        lines.extend(participant.map(|participant| participant_lines(number, participant)).unwrap_or_default());
    }
    lines.extend(pair.reasons.iter().map(|reason| {
        let side = if reason.weight < 0. { "against" } else { "for" };
        format!("  {side}: {}", reason_text(reason))
    }));
    lines.iter().map(|line| escape::text(line) + "\n").collect()
}

fn participant_lines(number: u8, participant: &Participant) -> Vec<String> {
    let region = match participant.region_code.as_str() {
        "" => "region unknown",
        region => region,
    };
    let kind = participant.kind().as_str_name().to_ascii_lowercase();
    let names: Vec<&str> = participant.names.iter().map(|name| name.text.as_str()).collect();
    let offices: Vec<String> = participant
        .offices
        .iter()
        .map(|office| {
            let year = |date: Option<crate::pb::Date>| date.map_or_else(String::new, |date| date.year.to_string());
            let years = match (year(office.start), year(office.end)) {
                (start, end) if start.is_empty() && end.is_empty() => String::new(),
                (start, end) => format!("{start}–{end}"),
            };
            let parts = [office.title.as_str(), &office.organization, &office.region_code, &years];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        })
        .collect();
    let ids: Vec<String> = participant.external_ids.iter().map(|id| format!("{} {}", id.scheme, id.value)).collect();
    let mut lines = vec![
        format!("  {number}  {}: {kind}, {region}", participant.display_name),
        format!("     {}", participant.name),
    ];
    for (label, values) in [("also named", names.join("; ")), ("offices", offices.join("; ")), ("ids", ids.join("; "))]
    {
        if !values.is_empty() {
            lines.push(format!("     {label}: {values}"));
        }
    }
    lines
}

/// A reason as a phrase. `IdentityReason.kind` in the contract lists the kinds.
fn reason_text(reason: &IdentityReason) -> String {
    let phrase = match reason.kind.as_str() {
        "shared_id" => "an external id is shared",
        "contradicting_id" => "the external ids contradict each other",
        "kind_differs" => "the kinds differ",
        "region_differs" => "the regions differ",
        "region_unset" => "the region of one is unknown",
        "equal_name" => "the names are equal",
        "equal_token" => "words are equal",
        "romanisation" => "words are one word in two romanisations",
        "variant" => "words are forms of one name",
        "sound" => "words sound alike",
        "typo" => "words differ by a letter",
        "initial" => "an initial stands for a word",
        "extra" => return extra_text(reason),
        "order" => "the order of the words differs",
        "own_names" => "each name has a word that the other lacks",
        "generation" => "the generations differ",
        "ordinal" => "the ordinals differ",
        "gender" => "the genders of the family names differ",
        "weak" => "too few words of the names agree well",
        "same_office" => "the same office at the same time",
        "same_company" => "the same participants on the same day",
        "two_top_offices" => "two top offices at the same time",
        "far_apart" => "more than 45 years lie between the meetings",
        // A later release has further kinds.
        kind => return with_parts(&kind.replace('_', " "), reason),
    };
    with_parts(phrase, reason)
}

fn extra_text(reason: &IdentityReason) -> String {
    match (reason.a.as_str(), reason.b.as_str()) {
        ("", "") => "one name has words that the other lacks".to_owned(),
        (a, "") => format!("only the first has the word: {a}"),
        ("", b) => format!("only the second has the word: {b}"),
        _ => with_parts("words differ", reason),
    }
}

fn with_parts(phrase: &str, IdentityReason { a, b, .. }: &IdentityReason) -> String {
    match (a.as_str(), b.as_str()) {
        ("", "") => phrase.to_owned(),
        (part, "") | ("", part) => format!("{phrase}: {part}"),
        (a, b) if a == b => format!("{phrase}: {a}"),
        (a, b) => format!("{phrase}: {a}, {b}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::pb::{Date, ExternalId, Level, OfficeTerm, ParticipantName, participant::Kind};

    use super::*;

    fn reason(kind: &str, a: &str, b: &str, weight: f32) -> IdentityReason {
        IdentityReason { kind: kind.into(), a: a.into(), b: b.into(), weight }
    }

    #[test]
    fn description_has_all_names_and_reasons_in_words() {
        let name = |text: &str| ParticipantName { text: text.into(), ..Default::default() };
        let office = OfficeTerm {
            title: "Foreign Minister".into(),
            region_code: "RU".into(),
            start: Some(Date { year: 2004, ..Default::default() }),
            ..Default::default()
        };
        let pair = Duplicate {
            participant: Some(Participant {
                name: "participants/a".into(),
                kind: Kind::Person.into(),
                display_name: "Sergei\u{1b}[2J Lavrov".into(),
                names: vec![name("Serguei Lavrov"), name("Сергей Лавров")],
                region_code: "RU".into(),
                offices: vec![office],
                external_ids: vec![ExternalId { scheme: "wikidata".into(), value: "Q58217".into() }],
                ..Default::default()
            }),
            other: Some(Participant {
                name: "participants/b".into(),
                kind: Kind::Person.into(),
                display_name: "Sergey V. Lavrov".into(),
                ..Default::default()
            }),
            level: Level::Possible.into(),
            score: 0.7249,
            reasons: vec![
                reason("sound", "sergei", "sergey", 0.9),
                reason("equal_token", "lavrov", "lavrov", 1.),
                reason("extra", "", "v", -0.1),
                reason("region_unset", "", "", -0.5),
                reason("same_shoe_size", "", "", 0.1),
            ],
        };
        let expected = "POSSIBLE, score 0.72
  1  Sergei\\u{1b}[2J Lavrov: person, RU
     participants/a
     also named: Serguei Lavrov; Сергей Лавров
     offices: Foreign Minister, RU, 2004–
     ids: wikidata Q58217
  2  Sergey V. Lavrov: person, region unknown
     participants/b
  for: words sound alike: sergei, sergey
  for: words are equal: lavrov
  against: only the second has the word: v
  against: the region of one is unknown
  for: same shoe size
";
        assert_eq!(describe(&pair), expected);
    }
}
