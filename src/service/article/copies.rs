//! The articles of a group of copies whose origin has changed.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    model::{
        article::TextHash,
        article_copies::{CopyCandidate, origins, overlap},
    },
    store::article_copies::{Group, GroupMember},
};

/// The articles whose stored `origin` is not the first article of their group, or whose overlap with it is another, with
/// the id of that and the overlap, in the order of ids.
pub fn moved_members(group: &Group) -> Vec<(Uuid, Uuid, f32)> {
    let copies: Vec<CopyCandidate> = group.members.iter().filter_map(|member| member.candidate.clone()).collect();
    let origins = origins(&copies, &group.near);
    let texts: HashMap<Uuid, Option<TextHash>> = copies.iter().map(|copy| (copy.place.id, copy.text_key)).collect();
    let text = |id: Uuid| texts.get(&id).copied().flatten();
    let current = |member: &GroupMember| {
        let origin = origins.get(&member.id).copied().unwrap_or(member.id);
        let overlap = overlap(text(member.id), text(origin), &group.near).filter(|_| origin != member.id);
        (member.id, origin, overlap.unwrap_or_default())
    };
    let moved = group.members.iter().filter(|member| current(member) != (member.id, member.origin, member.overlap));
    let mut moved: Vec<(Uuid, Uuid, f32)> = moved.map(current).collect();
    moved.sort_unstable_by_key(|(id, ..)| *id);
    moved
}
