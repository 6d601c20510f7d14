//! Who asks: draws the values of a question as often as records have them.

use readout::{model::resource::Collection, pb::Account};

use super::{
    chance::{Chance, chance_of, one_of},
    facts::Facts,
    world::World,
};

pub struct Asker<'a> {
    pub facts: &'a Facts,
    world: &'a World,
    chance: Chance,
}

impl<'a> Asker<'a> {
    /// Asks the same again where it is of the same name.
    pub fn new(name: &str, world: &'a World, facts: &'a Facts) -> Self {
        Self { facts, world, chance: chance_of(name, 0) }
    }

    /// One of a meeting's regions.
    pub fn region(&mut self) -> String {
        self.of_account(|account, chance| some(chance, regions(account)))
    }

    /// Two regions of one meeting.
    pub fn pair(&mut self) -> [String; 2] {
        self.of_account(|account, _| {
            let mut regions = regions(account);
            // The first two that are left are two.
            regions.dedup();
            Some([regions.first()?.clone(), regions.get(1)?.clone()])
        })
    }

    /// Where a meeting was.
    pub fn place(&mut self) -> String {
        let region = |account: &Account| Some(account.place.as_ref()?.region_code.clone());
        self.of_account(|account, _| region(account).filter(|code| !code.is_empty()))
    }

    /// One who took part in a meeting.
    pub fn somebody(&mut self) -> String {
        self.of_account(|account, chance| {
            let names = account.participations.iter().map(|one| one.participant.clone());
            some(chance, names.filter(|name| Collection::Participants.id(name).is_some()).collect())
        })
    }

    /// Any of the participants, however seldom they take part.
    pub fn anybody(&mut self) -> String {
        self.world.anybody(&mut self.chance)
    }

    /// Two different ones.
    pub fn two(&mut self, who: fn(&mut Self) -> String) -> [String; 2] {
        loop {
            let [one, other] = [who(self), who(self)];
            if one != other {
                return [one, other];
            }
        }
    }

    /// A topic of a meeting.
    pub fn topic(&mut self) -> String {
        self.of_account(|account, chance| some(chance, account.topics.clone()))
    }

    /// The kind of a meeting.
    pub fn kind(&mut self) -> &'static str {
        self.of_account(|account, _| Some(account.kind().as_str_name()))
    }

    /// The month of a meeting: "2009-04".
    pub fn month(&mut self) -> String {
        self.of_account(|account, _| {
            let start = account.date.as_ref()?.start?;
            Some(format!("{:04}-{:02}", start.year, start.month))
        })
    }

    /// A word that a source uses.
    pub fn word(&mut self) -> String {
        loop {
            let told = self.world.told(&mut self.chance);
            let words = told.text.split(|one: char| !one.is_alphabetic()).filter(|word| word.len() > 3);
            if let Some(word) = some(&mut self.chance, words.map(str::to_owned).collect()) {
                return word;
            }
        }
    }

    /// What is looked for, of the next meeting that has it.
    fn of_account<T>(&mut self, of: impl Fn(&Account, &mut Chance) -> Option<T>) -> T {
        loop {
            let told = self.world.told(&mut self.chance);
            if let Some(found) = of(&told.account, &mut self.chance) {
                return found;
            }
        }
    }
}

fn regions(account: &Account) -> Vec<String> {
    let all = account.participations.iter().map(|one| one.region_code.clone());
    all.filter(|code| !code.is_empty()).collect()
}

fn some<T: Clone>(chance: &mut Chance, all: Vec<T>) -> Option<T> {
    (!all.is_empty()).then(|| one_of(chance, &all).clone())
}
