use proptest::prelude::*;

use super::*;
use crate::pb::ExternalId;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn node(number: u128, region: &str) -> ClusterNode {
    ClusterNode {
        id: id(number),
        kind: 1,
        reports: 1,
        region: region.into(),
        external_ids: Vec::new(),
        door_keys: vec![format!("name {number:06}")],
    }
}

fn edge(a: u128, b: u128, level: Level) -> Edge {
    Edge { a: id(a), b: id(b), level, score: 0.95 }
}

fn confident(a: u128, b: u128) -> Edge {
    edge(a, b, Level::Confident)
}

fn judged(a: u128, b: u128, verdict: Verdict, sequence: i64) -> Judgement {
    Judgement { a: id(a), b: id(b), verdict, sequence, is_merge: false }
}

/// The pairs of participants and settled participants.
fn aliases(nodes: &[ClusterNode], edges: &[Edge], judgements: &[Judgement]) -> Vec<(u128, u128)> {
    let settled = clusters(nodes, edges, judgements);
    settled.aliases.iter().map(|alias| (alias.participant.as_u128(), alias.into.as_u128())).collect()
}

#[test]
fn clusters_name_themselves_after_the_most_reports_then_the_least_key() {
    let mut nodes = vec![node(1, "RU"), node(2, "RU"), node(3, "RU")];
    let edges = [confident(1, 2), confident(2, 3), confident(1, 3)];
    assert_eq!(aliases(&nodes, &edges, &[]), [(2, 1), (3, 1)]);
    nodes[2].reports = 2;
    assert_eq!(aliases(&nodes, &edges, &[]), [(1, 3), (2, 3)]);
}

#[test]
fn clusters_name_themselves_independently_of_ids() {
    let of = |number: u128, region: &str| ClusterNode { door_keys: vec!["hujintao".into()], ..node(number, region) };
    for (unset, set) in [(1, 2), (2, 1)] {
        let nodes = [of(unset, ""), of(set, "CN")];
        assert_eq!(aliases(&nodes, &[confident(1, 2)], &[]), [(unset, set)]);
    }
}

#[test]
fn clusters_join_neither_of_two_that_contradict_each_other() {
    let nodes = [node(1, "US"), node(2, "US"), node(3, "US"), node(4, "US")];
    // George Bush is George H. and George W., who differ.
    let edges = [confident(1, 2), confident(1, 3), edge(2, 3, Level::No), confident(3, 4)];
    assert_eq!(aliases(&nodes, &edges, &[]), [(4, 3)]);
}

#[test]
fn clusters_join_neither_of_two_regions_through_an_unset_one() {
    let nodes = [node(1, ""), node(2, "GB"), node(3, "AU")];
    let edges = [confident(1, 2), confident(1, 3)];
    assert_eq!(aliases(&nodes, &edges, &[]), []);
    assert_eq!(aliases(&nodes[..2], &edges[..1], &[]), [(2, 1)]);
    assert_eq!(aliases(&nodes, &edges, &[judged(1, 2, Verdict::Same, 1)]), [(2, 1)]);
}

#[test]
fn clusters_keep_ids_of_one_scheme_apart() {
    let mut nodes = [node(1, "GB"), node(2, "GB"), node(3, "GB")];
    let wikidata = |value: &str| vec![ExternalId { scheme: "wikidata".into(), value: value.into() }];
    (nodes[0].external_ids, nodes[2].external_ids) = (wikidata("Q1"), wikidata("Q2"));
    let edges = [confident(1, 2), confident(2, 3)];
    assert_eq!(aliases(&nodes, &edges, &[]), []);
    assert_eq!(aliases(&nodes, &edges, &[judged(1, 3, Verdict::Same, 1)]), [(2, 1), (3, 1)]);
}

#[test]
fn a_judgement_different_holds_between_whole_clusters() {
    let nodes = [node(1, "RU"), node(2, "RU"), node(3, "RU"), node(4, "RU")];
    let different = judged(1, 2, Verdict::Different, 1);
    // The third would bypass the judgement.
    assert_eq!(aliases(&nodes, &[confident(1, 3), confident(3, 2)], std::slice::from_ref(&different)), []);
    // The third belongs to the first by a judgement, so that the fourth, near the second, does not reach it.
    let same = judged(3, 1, Verdict::Same, 2);
    let edges = [confident(2, 4), confident(2, 3)];
    assert_eq!(aliases(&nodes, &edges, &[different, same]), [(3, 1), (4, 2)]);
}

#[test]
fn the_later_of_two_judgements_counts() {
    let nodes = [node(1, "RU"), node(2, "RU"), node(3, "RU")];
    let [same, different] = [Verdict::Same, Verdict::Different];
    assert_eq!(aliases(&nodes, &[], &[judged(1, 2, same, 2), judged(1, 2, different, 1)]), [(2, 1)]);
    assert_eq!(aliases(&nodes, &[], &[judged(2, 1, same, 1), judged(1, 2, different, 2)]), []);
    // A later DIFFERENT keeps apart what two earlier SAME would join through a third.
    let judgements = [judged(1, 2, different, 3), judged(1, 3, same, 2), judged(3, 2, same, 1)];
    assert_eq!(aliases(&nodes, &[], &judgements), [(3, 1)]);
}

#[test]
fn an_alias_has_its_causes() {
    let nodes = [node(1, "RU"), node(2, "RU"), node(3, "RU")];
    let merge = Judgement { is_merge: true, ..judged(3, 1, Verdict::Same, 7) };
    let settled = clusters(&nodes, &[confident(1, 2)], &[merge]);
    assert_eq!(settled.aliases[0].causes, [AliasCause::Rule { with: id(1), score: 0.95 }]);
    assert_eq!(settled.aliases[1].causes, [AliasCause::Judged { with: id(1), sequence: 7, is_merge: true }]);
}

#[test]
fn a_cluster_leaves_out_what_it_cannot_hold() {
    let nodes: Vec<ClusterNode> = (1..=1_003).map(|number| node(number, "")).collect();
    let edges: Vec<Edge> = (2..=1_003).map(|number| confident(1, number)).collect();
    let settled = clusters(&nodes, &edges, &[]);
    assert_eq!(settled.aliases.len(), MAX_CLUSTER - 1);
    assert_eq!(settled.left_out, [id(1_001), id(1_002), id(1_003)]);
    let settled = clusters(&nodes[..MAX_CLUSTER], &edges[..MAX_CLUSTER - 1], &[]);
    assert_eq!((settled.aliases.len(), settled.left_out.len()), (MAX_CLUSTER - 1, 0));
}

#[test]
fn clusters_of_ten_thousand_namesakes_take_no_minutes() {
    let begin = std::time::Instant::now();
    let nodes: Vec<ClusterNode> = (1..=10_000)
        .map(|number| {
            let value = format!("Q{number}");
            ClusterNode { external_ids: vec![ExternalId { scheme: "wikidata".into(), value }], ..node(number, "") }
        })
        .collect();
    let edges: Vec<Edge> =
        (1..=10_000_u128).flat_map(|a| (1..=20).map(move |step| confident(a, (a * step) % 10_000 + 1))).collect();
    assert_eq!(clusters(&nodes, &edges, &[]).aliases, []);
    let nodes: Vec<ClusterNode> =
        nodes.into_iter().map(|node| ClusterNode { external_ids: Vec::new(), ..node }).collect();
    assert_eq!(clusters(&nodes, &edges, &[]).aliases.len(), MAX_CLUSTER - 1);
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
}

fn any_edge() -> impl Strategy<Value = Edge> {
    let level = prop::sample::select(vec![Level::No, Level::Possible, Level::Confident, Level::Confident]);
    (1..12_u128, 1..12_u128, level, 0..3_u8).prop_map(|(a, b, level, score)| Edge {
        a: id(a.min(b)),
        b: id(a.max(b)),
        level,
        score: 0.9 + f32::from(score) / 50.,
    })
}

fn any_judgement() -> impl Strategy<Value = (u128, u128, bool)> {
    (1..12_u128, 1..12_u128, any::<bool>())
}

fn judgements(drawn: &[(u128, u128, bool)]) -> Vec<Judgement> {
    let verdict = |same| if same { Verdict::Same } else { Verdict::Different };
    (0..).zip(drawn).map(|(sequence, (a, b, same))| judged(*a, *b, verdict(*same), sequence)).collect()
}

fn nodes() -> Vec<ClusterNode> {
    (1..12).map(|number| node(number, ["", "", "RU", "GB"][number as usize % 4])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn clusters_are_independent_of_the_order(
        mut edges in proptest::collection::vec(any_edge(), 0..30),
        drawn in proptest::collection::vec(any_judgement(), 0..6),
        turn in 0_usize..30,
    ) {
        let (mut nodes, mut judgements) = (nodes(), judgements(&drawn));
        let settled = clusters(&nodes, &edges, &judgements);
        nodes.reverse();
        judgements.reverse();
        let turn = turn.min(edges.len());
        edges.rotate_left(turn);
        for edge in &mut edges {
            std::mem::swap(&mut edge.a, &mut edge.b);
        }
        prop_assert_eq!(clusters(&nodes, &edges, &judgements), settled);
    }

    #[test]
    fn a_pair_judged_different_is_in_one_cluster_only_by_a_later_judgement(
        edges in proptest::collection::vec(any_edge(), 0..30),
        a in 1..12_u128,
        b in 1..12_u128,
    ) {
        prop_assume!(a != b);
        let settled = clusters(&nodes(), &edges, &[judged(a, b, Verdict::Different, 1)]);
        let root = |number| settled.aliases.iter().find(|alias| alias.participant == id(number)).map_or(id(number), |alias| alias.into);
        prop_assert_ne!(root(a), root(b));
    }

    #[test]
    fn a_contradicting_pair_is_never_joined_by_the_rule(edges in proptest::collection::vec(any_edge(), 0..30)) {
        let nodes = nodes();
        let settled = clusters(&nodes, &edges, &[]);
        let root = |id: Uuid| settled.aliases.iter().find(|alias| alias.participant == id).map_or(id, |alias| alias.into);
        for edge in edges.iter().filter(|edge| edge.level == Level::No && edge.a != edge.b) {
            prop_assert_ne!(root(edge.a), root(edge.b));
        }
        for (a, b) in nodes.iter().flat_map(|a| nodes.iter().map(move |b| (a, b))) {
            let differs = !a.region.is_empty() && !b.region.is_empty() && a.region != b.region;
            prop_assert!(!differs || root(a.id) != root(b.id));
        }
        prop_assert!(settled.aliases.iter().all(|alias| !alias.causes.is_empty() && root(alias.into) == alias.into));
    }
}
