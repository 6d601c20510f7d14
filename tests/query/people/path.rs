//! FindPath: the shortest chain of meetings between two participants.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use readout::pb::{Account, ErrorReason, FindPathRequest, FindPathResponse, account::Kind};
use tonic::Code;

use super::{LETTERS, World};
use crate::support::{Refused, metadata_of, reason_of, refused};

fn between(world: &World, source: char, target: char) -> FindPathRequest {
    FindPathRequest { source: world.name(source).into(), target: world.name(target).into(), ..Default::default() }
}

/// The letters of the chain, with `?` after it if the search was truncated.
fn chain_of(world: &World, path: &FindPathResponse) -> String {
    assert_eq!(path.meetings.len(), path.participants.len().saturating_sub(1));
    let suffix = if path.truncated { "?" } else { "" };
    world.letters(&path.participants) + suffix
}

async fn found(world: &World, request: FindPathRequest) -> String {
    chain_of(world, &world.find_path(request).await.unwrap())
}

#[tokio::test]
async fn find_path_returns_the_shortest_chain_of_meetings() {
    let world = World::start().await;
    let (first, second, third) = (world.meet("AB").await, world.meet("BC~").await, world.meet("CD").await);
    world.meet("DE").await;
    let path = world.find_path(between(&world, 'A', 'D')).await.unwrap();
    assert_eq!(chain_of(&world, &path), "ABCD");
    assert_eq!(path.meetings, [first.clone(), second.clone(), third.clone()]);
    let back = world.find_path(between(&world, 'D', 'A')).await.unwrap();
    assert_eq!((chain_of(&world, &back), back.meetings), ("DCBA".into(), vec![third, second, first.clone()]));
    let direct = world.find_path(between(&world, 'A', 'B')).await.unwrap();
    assert_eq!((chain_of(&world, &direct), direct.meetings), ("AB".into(), vec![first]));
    assert_eq!(found(&world, between(&world, 'A', 'E')).await, "ABCDE");
    // An added meeting makes a shorter path.
    world.meet("BE").await;
    assert_eq!(found(&world, between(&world, 'A', 'E')).await, "ABE");
}

#[tokio::test]
async fn find_path_leads_only_through_participants_who_were_present() {
    let world = World::start().await;
    for letters in ["AB?", "AB-", "AB^", "BC"] {
        world.meet(letters).await;
    }
    assert_eq!(found(&world, between(&world, 'A', 'C')).await, "");
    let deleted = world.meet("AC").await;
    assert_eq!(found(&world, between(&world, 'A', 'C')).await, "AC");
    world.service.delete_meeting(&deleted).await.unwrap();
    assert_eq!(found(&world, between(&world, 'A', 'C')).await, "");
}

#[tokio::test]
async fn find_path_prefers_the_smallest_names_among_equally_short_chains() {
    let world = World::start().await;
    let mut meetings = Vec::new();
    for letters in ["AF", "AC", "AD", "FG", "CG", "DG", "CE", "DE", "GH", "EH", "AC"] {
        meetings.push(world.meet(letters).await);
    }
    let path = world.find_path(between(&world, 'A', 'H')).await.unwrap();
    assert_eq!(chain_of(&world, &path), "ACEH");
    // The first of the two meetings of A and C.
    assert_eq!(path.meetings[0], meetings[1]);
    assert_eq!(found(&world, between(&world, 'H', 'A')).await, "HECA");
}

#[tokio::test]
async fn find_path_returns_no_chain_longer_than_max_depth() {
    let world = World::start().await;
    for letters in ["AB", "BC", "CD", "DE", "EF", "FG", "GH"] {
        world.meet(letters).await;
    }
    let within = |max_depth, target| FindPathRequest { max_depth, ..between(&world, 'A', target) };
    for (max_depth, target, expected) in [
        (0, 'E', "ABCDE"),
        (0, 'F', ""),
        (4, 'F', ""),
        (5, 'F', "ABCDEF"),
        (6, 'G', "ABCDEFG"),
        (6, 'H', ""),
        (1, 'B', "AB"),
        (1, 'C', ""),
    ] {
        assert_eq!(found(&world, within(max_depth, target)).await, expected, "{max_depth} {target}");
    }
    for max_depth in [-1, 7, i32::MAX] {
        let status = world.find_path(within(max_depth, 'B')).await.unwrap_err();
        assert_eq!(Refused::from(status), Refused::invalid(["max_depth"]));
    }
}

#[tokio::test]
async fn find_path_leads_only_through_meetings_that_match_the_filter() {
    let world = World::start().await;
    world.meet_on((2004, 1, 1), "AB").await;
    world.meet_on((2005, 1, 1), "BC").await;
    world.meet_on((2005, 1, 1), "AD").await;
    let visit = Account { kind: Kind::Visit.into(), ..world.account("visit", "DEC") };
    world.meeting(visit).await;
    let filtered = |filter: &str| FindPathRequest { filter: filter.into(), ..between(&world, 'A', 'C') };
    assert_eq!(found(&world, filtered("")).await, "ABC");
    assert_eq!(found(&world, filtered("NOT date = 2004")).await, "ADC");
    assert_eq!(found(&world, filtered("date >= 2004")).await, "ABC");
    assert_eq!(found(&world, filtered("kind = VISIT")).await, "");
    let status = world.find_path(filtered("kind = TALK")).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidFilter, ["filter"]));
}

#[tokio::test]
async fn find_path_requires_two_different_existing_participants() {
    let world = World::start().await;
    let status = world.find_path(between(&world, 'A', 'A')).await.unwrap_err();
    assert_eq!(reason_of(&status), ErrorReason::SameParticipant);
    assert_eq!(metadata_of(&status, "name"), world.name('A'));
    assert_eq!(Refused::from(status), Refused::fields(ErrorReason::SameParticipant, ["target"]));

    world.service.delete_participant(world.name('H')).await.unwrap();
    let unknown = "participants/0198f2d1-7c0e-7000-8000-0123456789ab";
    for missing in [world.name('H'), unknown] {
        for (source, target) in [(missing, world.name('A')), (world.name('A'), missing)] {
            let request = FindPathRequest { source: source.into(), target: target.into(), ..Default::default() };
            let status = world.find_path(request).await.unwrap_err();
            refused(status, Code::NotFound, ErrorReason::ResourceNotFound, missing);
        }
    }
    let nobody = FindPathRequest { target: "meetings/x".into(), ..Default::default() };
    assert_eq!(Refused::from(world.find_path(nobody).await.unwrap_err()), Refused::invalid(["source", "target"]));
}

#[tokio::test]
async fn find_path_does_not_expand_participants_of_very_many_meetings() {
    let world = World::start().await;
    for letters in ["AB", "BC", "CD", "DE", "EF"] {
        world.meet(letters).await;
    }
    // Ben, Dan and Fay get 50,000 participations each, inserted directly.
    world
        .service
        .execute(
            "insert into participation (meeting, number, participant, presence, seniority, roles, together)
             select gen_random_uuid(), 0, id, 1, 0, 0, true
             from (select id, row_number() over (order by id) as place from participant) as people,
                  generate_series(1, 50000)
             where place in (2, 4, 6)",
        )
        .await;
    // Ben and Dan are reached from one end and met from the other.
    assert_eq!(found(&world, between(&world, 'A', 'C')).await, "ABC");
    assert_eq!(found(&world, between(&world, 'A', 'D')).await, "ABCD");
    // A path through two such participants is not found, and the answer is truncated.
    assert_eq!(found(&world, between(&world, 'A', 'E')).await, "?");
    // A source or target is always expanded.
    assert_eq!(found(&world, between(&world, 'B', 'F')).await, "BCDEF");
    assert_eq!(found(&world, between(&world, 'B', 'D')).await, "BCD");
    // Gus has no meeting, so that the answer is certain.
    assert_eq!(found(&world, between(&world, 'A', 'G')).await, "");
}

/// The participants of a few meetings.
fn any_world() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    let guests = proptest::collection::btree_set(0..LETTERS.len(), 1..4);
    proptest::collection::vec(guests, 3..9)
}

/// The chain that the contract promises, by a breadth-first search over whole chains in the order of names.
fn expected(meetings: &[BTreeSet<usize>], source: usize, target: usize) -> Vec<usize> {
    let mut met: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for people in meetings {
        people.iter().for_each(|person| met.entry(*person).or_default().extend(people));
    }
    let mut chains = vec![vec![source]];
    for _ in 0..6 {
        let longer = chains.iter().flat_map(|chain| {
            let next = met.get(&chain[chain.len() - 1]).into_iter().flatten();
            next.filter(|person| !chain.contains(person)).map(|person| [chain.as_slice(), &[*person]].concat())
        });
        chains = longer.collect();
        if let Some(chain) = chains.iter().find(|chain| chain.last() == Some(&target)) {
            return chain.clone();
        }
    }
    Vec::new()
}

#[tokio::test]
async fn find_path_agrees_with_a_plain_search_in_random_worlds() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut lengths = BTreeSet::new();
    for _ in 0..12 {
        let meetings = any_world().new_tree(&mut runner).unwrap().current();
        let world = World::start().await;
        for people in &meetings {
            let letters: String = people.iter().map(|person| LETTERS[*person].0.chars().next().unwrap()).collect();
            world.meet(&letters).await;
        }
        for source in 0..LETTERS.len() {
            for target in (0..LETTERS.len()).filter(|target| *target != source) {
                let (source_name, target_name) = (world.people[source].clone(), world.people[target].clone());
                let request =
                    FindPathRequest { source: source_name, target: target_name, max_depth: 6, ..Default::default() };
                let path = world.find_path(request).await.unwrap();
                let chain: Vec<String> =
                    expected(&meetings, source, target).iter().map(|person| world.people[*person].clone()).collect();
                assert_eq!(path.participants, chain, "{source} to {target} in {meetings:?}");
                assert!(!path.truncated);
                lengths.insert(path.meetings.len());
            }
        }
    }
    assert!(lengths.is_superset(&BTreeSet::from([0, 1, 2, 3, 4])), "only {lengths:?} were seen");
}
