//! What is asked: a shape is a kind of question, with values as often as records have them.

use readout::{
    model::resource::Collection,
    pb::{Account, account::Kind},
};

use super::{
    chance::{Chance, one_of},
    facts::Facts,
    question::{Question, meetings},
    world::World,
};

/// What a shape should keep to.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// In the middle, so many times what it takes among a tenth of the records.
    Times(f64),
}

/// A kind of question.
pub struct Shape {
    pub name: &'static str,
    pub wanted: Wanted,
    pub question: fn(&World, &Facts, &mut Chance) -> Question,
}

/// A page need not take longer because there is more that is not on it.
const PAGE: Wanted = Wanted::Times(1.5);

const fn shape(name: &'static str, wanted: Wanted, question: fn(&World, &Facts, &mut Chance) -> Question) -> Shape {
    Shape { name, wanted, question }
}

pub const SHAPES: &[Shape] = &[
    shape("all", PAGE, |_, _, _| meetings(String::new())),
    shape("region", PAGE, |world, _, chance| meetings(format!("region = {}", region(world, chance)))),
    shape("region AND region", PAGE, |world, _, chance| {
        let [one, other] = pair(world, chance);
        meetings(format!("region = {one} AND region = {other}"))
    }),
    shape("place.region", PAGE, |world, _, chance| meetings(format!("place.region = {}", place(world, chance)))),
    shape("participant", PAGE, |world, _, chance| meetings(format!("participant = \"{}\"", somebody(world, chance)))),
    shape("participant, a rare one", PAGE, |world, _, chance| {
        meetings(format!("participant = \"{}\"", world.anybody(chance)))
    }),
    shape("participant, the busiest", PAGE, |_, facts, _| {
        meetings(format!("participant = \"{}\"", facts.busiest.name))
    }),
    shape("topic", PAGE, |world, _, chance| meetings(format!("topic = \"{}\"", topic(world, chance)))),
    shape("kind AND date of a month", PAGE, |world, _, chance| {
        let account = account(world, chance);
        meetings(format!("kind = {} AND date = {}", kind(&account), month(&account)))
    }),
    shape("date of a year", PAGE, |world, _, chance| {
        let month = month(&account(world, chance));
        meetings(format!("date = {}", &month[..4]))
    }),
    shape("date from a day to another", PAGE, |world, _, chance| {
        let month = month(&account(world, chance));
        meetings(format!("date >= {month}-03 AND date <= {month}-09"))
    }),
    shape("date AND region", PAGE, |world, _, chance| {
        let account = account(world, chance);
        meetings(format!("date = {} AND region = {}", month(&account), region(world, chance)))
    }),
    shape("independent_source_count >= 3", PAGE, |_, _, _| meetings("independent_source_count >= 3".into())),
    shape("has_dispute", PAGE, |_, _, _| meetings("has_dispute = true".into())),
];

fn account(world: &World, chance: &mut Chance) -> Account {
    world.told(chance).account
}

/// Asks for another meeting until one has what is looked for.
fn find<T>(world: &World, chance: &mut Chance, mut of: impl FnMut(Account, &mut Chance) -> Option<T>) -> T {
    loop {
        let account = account(world, chance);
        if let Some(found) = of(account, chance) {
            return found;
        }
    }
}

fn regions(account: &Account) -> Vec<String> {
    let all = account.participations.iter().map(|one| one.region_code.clone());
    all.filter(|code| !code.is_empty()).collect()
}

fn region(world: &World, chance: &mut Chance) -> String {
    find(world, chance, |account, chance| {
        let regions = regions(&account);
        (!regions.is_empty()).then(|| one_of(chance, &regions).clone())
    })
}

fn pair(world: &World, chance: &mut Chance) -> [String; 2] {
    find(world, chance, |account, _| {
        let mut regions = regions(&account);
        regions.dedup();
        Some([regions.first()?.clone(), regions.get(1)?.clone()])
    })
}

fn place(world: &World, chance: &mut Chance) -> String {
    find(world, chance, |account, _| account.place.map(|place| place.region_code).filter(|code| !code.is_empty()))
}

fn somebody(world: &World, chance: &mut Chance) -> String {
    find(world, chance, |account, chance| {
        let names = account.participations.iter().map(|one| one.participant.as_str());
        let names: Vec<&str> = names.filter(|name| Collection::Participants.id(name).is_some()).collect();
        (!names.is_empty()).then(|| (*one_of(chance, &names)).to_owned())
    })
}

fn topic(world: &World, chance: &mut Chance) -> String {
    let topics = account(world, chance).topics;
    one_of(chance, &topics).clone()
}

fn kind(account: &Account) -> &'static str {
    Kind::as_str_name(&account.kind())
}

fn month(account: &Account) -> String {
    let start = account.date.as_ref().and_then(|date| date.start).unwrap_or_default();
    format!("{:04}-{:02}", start.year, start.month)
}
