use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

const LONGEST: Duration = Duration::from_secs(2);

fn named(name: &str) -> Caller {
    Caller::Named(name.into())
}

fn queue(shared: usize) -> FairQueue {
    FairQueue::new("test", shared, LONGEST)
}

/// As many permits of one unit as the caller gets.
fn take_all(queue: &FairQueue, caller: &Caller) -> Vec<Permit> {
    std::iter::from_fn(|| queue.try_acquire(caller, 1)).collect()
}

#[test]
fn caller_alone_holds_the_whole_shared_part() {
    for shared in [1, 2, 8, 100] {
        let queue = queue(shared);
        let held = take_all(&queue, &named("a"));
        assert_eq!(held.len(), shared);
        drop(held);
        assert_eq!(take_all(&queue, &named("a")).len(), shared);
    }
}

#[test]
fn reserve_serves_callers_that_hold_less_than_others() {
    let queue = queue(800);
    let _hostile = take_all(&queue, &named("hostile"));
    // Of the reserve of 100 units, each caller leaves at least as much as it takes.
    let first = take_all(&queue, &named("first"));
    let second = take_all(&queue, &named("second"));
    let third = take_all(&queue, &named("third"));
    assert_eq!((first.len(), second.len(), third.len()), (34, 22, 15));
    assert!(queue.try_acquire(&named("hostile"), 1).is_none());
    drop(first);
    assert!(queue.try_acquire(&named("hostile"), 1).is_none());
    assert!(queue.try_acquire(&named("fourth"), 1).is_some());
}

#[test]
fn reserve_of_a_small_resource_is_one_unit() {
    let queue = queue(2);
    let hostile = take_all(&queue, &named("hostile"));
    assert_eq!(hostile.len(), 2);
    let _polite = queue.try_acquire(&named("polite"), 1).expect("the reserve");
    assert!(queue.try_acquire(&named("polite"), 1).is_none());
    assert!(queue.try_acquire(&named("other"), 1).is_none());
}

#[tokio::test]
async fn waiting_callers_are_served_by_what_they_hold() {
    let queue = queue(3);
    let (greedy, modest) = (named("greedy"), named("modest"));
    let mut held = take_all(&queue, &greedy);
    held.extend(queue.try_acquire(&modest, 1));
    assert_eq!(held.len(), 4);
    let (mut more, mut second) = (Box::pin(queue.acquire(&greedy, 1)), Box::pin(queue.acquire(&modest, 1)));
    assert!((&mut more).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    held.swap_remove(0);
    // The whole shared part is held still, and of the reserve only one unit is free.
    assert!((&mut more).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    held.swap_remove(0);
    assert!((&mut more).now_or_never().is_none());
    let _second = (&mut second).now_or_never().flatten().expect("the modest caller is next");
    held.clear();
    assert!((&mut more).now_or_never().flatten().is_some());
}

#[tokio::test]
async fn calls_of_one_caller_are_served_in_their_order() {
    let queue = queue(1);
    let caller = named("a");
    let held = queue.try_acquire(&caller, 1);
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(queue.acquire(&caller, 1))).collect();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    // A call that leaves the queue does not hold up those behind it.
    drop(waiting.remove(0));
    drop(held);
    let last = waiting.pop().expect("two calls wait");
    let mut first = waiting.pop().expect("one call waits");
    let (mut last, first) = (last, (&mut first).now_or_never().flatten());
    assert!(first.is_some() && (&mut last).now_or_never().is_none());
    drop(first);
    assert!(last.now_or_never().flatten().is_some());
}

#[tokio::test]
async fn call_that_waited_too_long_is_refused() {
    let queue = FairQueue::new("test", 1, Duration::from_millis(10));
    let _held = queue.acquire(&named("a"), 1).await.unwrap();
    assert!(queue.acquire(&named("a"), 1).await.is_none());
    assert!(queue.state().waiting.is_empty());
}

#[test]
fn only_the_caller_whose_queue_never_empties_waits_a_shorter_time() {
    let queue = FairQueue::new("test", 1, Duration::from_millis(20));
    let (busy, other) = (named("busy"), named("other"));
    let _held = take_all(&queue, &busy);
    let _reserve = take_all(&queue, &other);
    let longest = |caller: &Caller| queue.enter(caller, 1).expect_err("it must wait").1;
    assert_eq!(longest(&busy), queue.0.longest_wait);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(longest(&busy), queue.0.longest_wait / OVERLOAD_DIVISOR);
    assert_eq!(longest(&other), queue.0.longest_wait);
}

#[test]
fn large_amounts_count_as_the_whole_shared_part() {
    let queue = queue(100);
    let held = queue.try_acquire(&named("a"), 1_000).expect("the shared part");
    assert!(queue.try_acquire(&named("a"), 1).is_none());
    drop(held);
    assert!(queue.try_acquire(&named("a"), 100).is_some());
}

#[tokio::test]
async fn charge_may_exceed_the_share_until_it_is_dropped() {
    let queue = queue(10);
    assert!(!queue.is_half_held());
    let frame = queue.charge(&named("a"), 50);
    assert!(queue.is_half_held());
    assert!(queue.try_acquire(&named("a"), 1).is_none());
    assert!(queue.try_acquire(&named("b"), 1).is_none());
    let other = named("b");
    let mut waiting = Box::pin(queue.acquire(&other, 1));
    assert!((&mut waiting).now_or_never().is_none());
    drop(frame);
    assert!(waiting.now_or_never().flatten().is_some());
    assert!(queue.state().callers.is_empty() && queue.state().held == 0);
    let _four = queue.charge(&named("a"), 4);
    assert!(!queue.is_half_held());
    let _fifth = queue.charge(&named("b"), 1);
    assert!(queue.is_half_held());
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8, u64),
    Leave(usize),
    Release(usize),
    Charge(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 1..6u64).prop_map(|(caller, amount)| Step::Enter(caller, amount)),
        1 => any::<usize>().prop_map(Step::Leave),
        3 => any::<usize>().prop_map(Step::Release),
        1 => (0..4u8, 0..9u64).prop_map(|(caller, amount)| Step::Charge(caller, amount)),
    ]
}

proptest! {
    /// Whatever happens, the counts are right, no call waits that could be served, and nothing is left at the end.
    #[test]
    fn counts_agree_with_the_permits_and_no_grant_is_lost(
        shared in 1..20usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let queue = queue(shared);
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Enter(caller, amount) => {
                    let caller = named(&caller.to_string());
                    match queue.enter(&caller, amount) {
                        Ok(permit) => held.push(permit),
                        Err((ticket, _, granted)) => waiting.push((caller, ticket, granted)),
                    }
                }
                Step::Leave(index) if !waiting.is_empty() => {
                    let (caller, ticket, granted) = waiting.swap_remove(index % waiting.len());
                    queue.change(|state| state.leave(&caller, ticket));
                    drop(granted);
                }
                Step::Release(index) if !held.is_empty() => drop(held.swap_remove(index % held.len())),
                Step::Charge(caller, amount) => held.push(queue.charge(&named(&caller.to_string()), amount)),
                _ => {}
            }
            waiting.retain_mut(|(.., granted)| match granted.try_recv() {
                Ok(permit) => {
                    held.push(permit);
                    false
                }
                Err(_) => true,
            });
            let state = queue.state();
            prop_assert_eq!(state.held, held.iter().map(|permit| permit.amount).sum::<u64>());
            prop_assert_eq!(state.held, state.callers.values().map(|share| share.held).sum::<u64>());
            let in_queue: usize = state.callers.values().map(|share| share.waiting.len()).sum();
            prop_assert_eq!(in_queue, waiting.len());
            if let Some(first) = state.waiting.first() {
                let share = &state.callers[&first.caller];
                prop_assert_eq!(first.held, share.held);
                prop_assert!(!state.fits(&queue.0, share.held, share.waiting[0].amount));
            }
        }
        held.clear();
        for (.., granted) in waiting {
            drop(granted);
        }
        // The receivers that are gone return what they are granted.
        queue.change(|_| {});
        let state = queue.state();
        prop_assert!(state.held == 0 && state.waiting.is_empty(), "{:?}", state);
    }
}
