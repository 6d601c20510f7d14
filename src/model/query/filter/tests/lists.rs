//! Lists of values, and `field:*`.

use super::*;

#[test]
fn list_of_values_equals_the_comparisons_with_each() {
    for (list, comparisons) in [
        ("region = (AZ OR RU)", "region = AZ OR region = RU"),
        ("region:(AZ AND RU)", "region:AZ AND region:RU"),
        ("region != (AZ OR RU)", "NOT (region = AZ OR region = RU)"),
        ("kind = (TALKS OR (VISIT OR SUMMIT))", "kind = TALKS OR (kind = VISIT OR kind = SUMMIT)"),
        ("title = (\"a b\" OR c)", "title = \"a b\" OR title = c"),
    ] {
        assert_eq!(meetings(list), meetings(comparisons), "{list}");
    }
    let error = rejected("region = (AZ OR RUS)");
    assert_eq!(error.position(), Some(16));
    let values = |count| format!("topic = ({})", vec!["a"; count].join(" OR "));
    assert!(meetings(&values(MAX_COMPARISONS)).is_ok());
    assert_eq!(rejected(&values(1_000)), FilterError::TooComplex { what: "comparisons", most: MAX_COMPARISONS });
}

#[test]
fn star_after_a_colon_means_that_the_field_is_set() {
    for field in ["kind", "region", "title", "date", "report_count", "has_dispute", "labels.priority", "labels.\"a b\""]
    {
        let set = meetings(&format!("{field}:*"));
        assert!(matches!(set, Ok(Filter::Compare(Comparison::IsSet(_)))), "{field}: {set:?}");
    }
    // A quoted star is a value.
    assert_eq!(meetings("topic:\"*\""), Ok(topic("*")));
    assert!(matches!(rejected("labels:*"), FilterError::UnknownField { .. }));
    assert_eq!(rejected("\"title\" = a").position(), Some(0));
}
