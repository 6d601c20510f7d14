use chrono_tz::Tz;
use proptest::{option, prelude::*, sample::select};

use super::*;

/// A span from its parts: dates such as `2020-09-04` or `2020-09`, times such as `10:00`, and a zone. Each may be
/// empty.
fn span(days: [&str; 2], times: [&str; 2], zone: &str) -> DateSpan {
    let day = |text: &str| {
        let mut parts = text.split('-').map(|part| part.parse().expect("a number"));
        let mut next = || parts.next().unwrap_or_default();
        (!text.is_empty()).then(|| Date { year: next(), month: next(), day: next() })
    };
    let time = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let part = |text: &str| text.parse().expect("a number");
        Some(TimeOfDay { hours: part(hours), minutes: part(minutes), ..Default::default() })
    };
    DateSpan {
        start: day(days[0]),
        end: day(days[1]),
        start_time: time(times[0]),
        end_time: time(times[1]),
        time_zone: zone.into(),
        ..Default::default()
    }
}

fn on(day: &str, time: &str, zone: &str) -> DateSpan {
    span([day, ""], [time, ""], zone)
}

fn from_to(day: &str, times: [&str; 2], zone: &str) -> DateSpan {
    span([day, ""], times, zone)
}

#[test]
fn keys_are_equal_for_equal_instants() {
    for (left, right) in [
        (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "6:00", "UTC")),
        (on("2020-09-04", "3:00", "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
        (on("2020-12-31", "20:00", "America/New_York"), on("2021-01-01", "1:00", "GMT")),
        (on("2015-07-01", "10:00", "Asia/Baku"), on("2015-07-01", "5:00", "Zulu")),
        (
            from_to("2020-09-04", ["3:00", "5:00"], "Asia/Baku"),
            span(["2020-09-03", "2020-09-04"], ["23:00", "1:00"], "UTC"),
        ),
        (from_to("2020-09-04", ["", "3:00"], "Asia/Baku"), from_to("2020-09-03", ["", "23:00"], "UTC")),
        (
            span(["2020-09-04", "2020-09-06"], ["3:00", ""], "Asia/Baku"),
            span(["2020-09-03", "2020-09-06"], ["23:00", ""], "UTC"),
        ),
        // Partial and unknown dates.
        (on("2020-09", "10:00", "Asia/Baku"), on("2020-09", "6:00", "UTC")),
        (on("2020", "10:00", "Europe/Kiev"), on("2020", "10:00", "Europe/Kyiv")),
        (on("2020", "10:00", "Europe/Kyiv"), on("2020", "9:00", "Europe/Berlin")),
        (on("", "10:00", "Asia/Calcutta"), on("", "10:00", "Asia/Kolkata")),
        (on("", "10:00", "GMT"), on("", "10:00", "Etc/UTC")),
        (on("", "10:00", "US/Eastern"), on("", "10:00", "America/New_York")),
        // A zone without a time, and an end that repeats the start.
        (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "", "")),
        (span(["2020-09-04", "2020-09-04"], ["3:00", ""], "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
        // Clocks that are put back and forward.
        (from_to("2020-10-25", ["2:50", "2:10"], "Europe/Berlin"), from_to("2020-10-25", ["0:50", "1:10"], "UTC")),
        (on("2020-03-29", "2:30", "Europe/Berlin"), on("2020-03-29", "1:30", "UTC")),
        // Fixed offsets, and the end of a day.
        (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "10:00", "+04:00")),
        (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "6:00", "Z")),
        (on("2020-09", "10:00", "Asia/Baku"), on("2020-09", "10:00", "+04:00")),
        (from_to("2020-09-04", ["22:00", "24:00"], "Z"), span(["2020-09-04", "2020-09-05"], ["22:00", "0:00"], "Z")),
    ] {
        assert_eq!(key(&left), key(&right), "{left:?} {right:?}");
        assert!(!contains(&left, &right) && !contains(&right, &left), "{left:?} {right:?}");
    }
}

#[test]
fn keys_differ_for_other_instants() {
    for (left, right) in [
        (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "10:00", "UTC")),
        (on("2020-09-04", "3:00", "Asia/Baku"), on("2020-09-04", "23:00", "UTC")),
        (on("2020-09-04", "10:00", "Asia/Baku"), on("2020-09-04", "10:00", "")),
        (on("2020-09-04", "6:00", ""), on("2020-09-04", "6:00", "UTC")),
        (on("2020", "10:00", "Europe/Kyiv"), on("2020", "10:00", "Europe/Berlin")),
        (on("2020", "10:00", "Europe/Berlin"), on("2020", "9:00", "UTC")),
        (on("2020-09", "10:00", "Asia/Baku"), on("2020-10", "6:00", "UTC")),
        (on("", "10:00", "Asia/Baku"), on("", "6:00", "UTC")),
        (on("2020-09-04", "0:00", "UTC"), on("2020-09-04", "", "UTC")),
    ] {
        assert_ne!(key(&left), key(&right), "{left:?} {right:?}");
    }
}

#[test]
fn contains_compares_precision_and_not_extent() {
    let august = on("2020-8", "", "");
    let visit = span(["2020-8-24", "2020-8-27"], ["", ""], "");
    let talks = on("2020-8-24", "", "");
    let at_two = on("2020-8-24", "14:00", "");
    let about = DateSpan { approximate: true, ..talks.clone() };
    assert!(contains(&august, &visit) && contains(&august, &talks));
    assert!(!contains(&visit, &talks) && !contains(&talks, &visit));
    assert!(contains(&talks, &at_two) && !contains(&at_two, &talks));
    assert!(contains(&about, &talks) && !contains(&talks, &about));
    assert!(contains(&august, &about) && !contains(&at_two, &about));
}

#[test]
fn contains_compares_across_zones() {
    for (coarse, fine) in [
        (on("2020-09-04", "", "Asia/Baku"), on("2020-09-03", "23:00", "UTC")),
        (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "3:00", "Asia/Baku")),
        (on("2020-09-04", "10:00", ""), on("2020-09-04", "10:00", "Asia/Baku")),
        (on("2020-09-03", "23:00", "UTC"), from_to("2020-09-04", ["3:00", "5:00"], "Asia/Baku")),
        (on("2020-09-04", "3:00", "Asia/Baku"), span(["2020-09-03", "2020-09-04"], ["23:00", "1:00"], "UTC")),
        (on("2020-09", "10:00", "Asia/Baku"), from_to("2020-09", ["6:00", "7:00"], "UTC")),
        (on("2020", "10:00", "Europe/Kiev"), from_to("2020", ["10:00", "11:00"], "Europe/Kyiv")),
        (on("2020-09", "", "Asia/Baku"), on("2020-08-31", "22:00", "UTC")),
        (on("2020", "", "Asia/Baku"), on("2020", "10:00", "Europe/Berlin")),
    ] {
        assert!(contains(&coarse, &fine), "{coarse:?} {fine:?}");
        assert!(!contains(&fine, &coarse), "{coarse:?} {fine:?}");
        assert!(key(&coarse).may_contain(&key(&fine)));
    }
    for (left, right) in [
        (on("2020-09-04", "", "Asia/Baku"), on("2020-09-04", "22:00", "UTC")),
        (on("2020-09-04", "10:00", ""), on("2020-09-04", "6:00", "UTC")),
        (on("2020-09-04", "10:00", "UTC"), from_to("2020-09-04", ["10:00", "11:00"], "Asia/Baku")),
    ] {
        assert!(!contains(&left, &right) && !contains(&right, &left), "{left:?} {right:?}");
    }
}

#[test]
fn ends_before_it_starts_is_true_for_a_single_full_date_only() {
    let night = ["22:00", "2:00"];
    for (days, zone, expected) in [
        (["2020-09-04", ""], "", true),
        (["2020-09-04", "2020-09-04"], "Asia/Baku", true),
        (["2020-09-04", "2020-09-05"], "", false),
        (["2020-09", ""], "", false),
        (["2020-09", "2020-09"], "", false),
        (["2020", ""], "Asia/Baku", false),
        (["", ""], "", false),
        (["2020-09-04", "2020-09"], "", false),
    ] {
        assert_eq!(ends_before_it_starts(&span(days, night, zone)), expected, "{days:?}");
    }
    let put_back = |zone| from_to("2020-10-25", ["2:50", "2:10"], zone);
    assert!(!ends_before_it_starts(&put_back("Europe/Berlin")));
    assert!(ends_before_it_starts(&put_back("Asia/Baku")) && ends_before_it_starts(&put_back("")));
    assert!(!ends_before_it_starts(&from_to("2020-03-29", ["2:30", "3:10"], "Europe/Berlin")));
}

/// A span within which an event took place.
fn within(days: [&str; 2]) -> DateSpan {
    DateSpan { extent: Extent::SometimeWithin.into(), ..span(days, ["", ""], "") }
}

#[test]
fn contains_compares_bounds_of_spans_within_which_an_event_took_place() {
    let quarter = within(["2014-10", "2014-12"]);
    for fine in [
        on("2014-11-05", "", ""),
        on("2014-11-05", "10:00", "Asia/Baku"),
        on("2014-11", "", ""),
        on("2014-10-01", "", ""),
        span(["2014-12-29", "2014-12-31"], ["", ""], ""),
        span(["2014-10", "2014-12"], ["", ""], ""),
        within(["2014-10", "2014-11"]),
        within(["2014-11-02", "2014-11-09"]),
    ] {
        assert!(contains(&quarter, &fine) && !contains(&fine, &quarter), "{fine:?}");
    }
    for other in [
        on("2014-09-30", "", ""),
        on("2015-01-01", "", ""),
        span(["2014-12-29", "2015-01-02"], ["", ""], ""),
        within(["2014-09", "2014-11"]),
        on("", "10:00", ""),
    ] {
        assert!(!contains(&quarter, &other) && !contains(&other, &quarter), "{other:?}");
    }
    assert!(contains(&on("2014", "", ""), &quarter) && !contains(&quarter, &on("2014", "", "")));
    assert_ne!(key(&quarter), key(&span(["2014-10", "2014-12"], ["", ""], "")));
    // Of a single month or year, both extents say the same.
    let month = DateSpan { extent: Extent::SometimeWithin.into(), ..on("2014-10", "", "") };
    assert_eq!(key(&month), key(&on("2014-10", "", "")));
    let throughout = DateSpan { extent: Extent::Throughout.into(), ..span(["2014-10", "2014-12"], ["", ""], "") };
    assert_eq!(key(&throughout), key(&span(["2014-10", "2014-12"], ["", ""], "")));
}

fn any_span() -> impl Strategy<Value = DateSpan> {
    let day = || {
        (2020..2022, 0..4, 0..3).prop_map(|(year, month, day)| Date {
            year,
            month,
            day: if month == 0 { 0 } else { day },
        })
    };
    let time = || option::of((0..2).prop_map(|hours| TimeOfDay { hours, ..Default::default() }));
    let zone =
        select(vec!["", "UTC", "GMT", "+02:00", "Asia/Baku", "Europe/Berlin", "Europe/Paris", "America/New_York"]);
    let extent = select(vec![Extent::Unspecified, Extent::Throughout, Extent::SometimeWithin]);
    (option::of(day()), option::of(day()), time(), time(), any::<bool>(), zone, extent).prop_map(
        |(start, end, start_time, end_time, approximate, zone, extent)| DateSpan {
            start,
            end,
            // Without a known day there is no time.
            start_time: start_time.filter(|_| extent != Extent::SometimeWithin),
            end_time: end_time.filter(|_| extent != Extent::SometimeWithin),
            approximate,
            time_zone: zone.into(),
            extent: extent.into(),
            ..Default::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn contains_is_a_strict_order_without_zones(a in any_span(), b in any_span(), c in any_span()) {
        let plain = |span| DateSpan { time_zone: String::new(), extent: 0, ..span };
        let [a, b, c] = [a, b, c].map(plain);
        prop_assert!(!contains(&a, &a));
        prop_assert!(!(contains(&a, &b) && contains(&b, &a)));
        prop_assert!(!(contains(&a, &b) && contains(&b, &c)) || contains(&a, &c));
    }

    #[test]
    fn contains_has_no_cycle(a in any_span(), b in any_span(), c in any_span()) {
        prop_assert!(!contains(&a, &a));
        prop_assert!(!(contains(&a, &b) && contains(&b, &a)));
        prop_assert!(!(contains(&a, &b) && contains(&b, &c) && contains(&c, &a)));
    }

    #[test]
    fn contains_holds_only_when_the_keys_allow_it(a in any_span(), b in any_span()) {
        prop_assert!(!contains(&a, &b) || key(&a) != key(&b) && key(&a).may_contain(&key(&b)));
    }

    #[test]
    fn key_is_the_same_in_every_zone(
        day in 0i64..40_000, times in (0i64..86_400, option::of(0i64..86_400)), zones in select(chrono_tz::TZ_VARIANTS.to_vec()).prop_flat_map(|zone| (Just(zone), select(chrono_tz::TZ_VARIANTS.to_vec())))
    ) {
        // Times from 1970 on that are unambiguous in both zones.
        let at = |seconds: i64| chrono::DateTime::from_timestamp(day * 86_400 + seconds, 0).expect("in range").naive_utc();
        let (start, end) = (at(times.0), times.1.map(|lasting| at(times.0 + lasting)));
        let is_unambiguous = |at: NaiveDateTime, zone: Tz| instant(local(at, Zone::Named(zone)), Zone::Named(zone)) == at;
        prop_assume!([zones.0, zones.1].iter().all(|zone| is_unambiguous(start, *zone) && end.is_none_or(|end| is_unambiguous(end, *zone))));
        let in_zone = |zone: Tz| {
            let named = Zone::Named(zone);
            let (start, end) = (local(start, named), end.map(|end| local(end, named)));
            DateSpan {
                start: Some(of_day(start.date())),
                end: end.map(|end| of_day(end.date())),
                start_time: Some(of_time(start.time())),
                end_time: end.map(|end| of_time(end.time())),
                time_zone: zone.name().to_owned(),
                ..Default::default()
            }
        };
        let (left, right) = (in_zone(zones.0), in_zone(zones.1));
        prop_assert_eq!(key(&left), key(&right));
        prop_assert!(!contains(&left, &right) && !contains(&right, &left));
    }
}
