//! Samples the values of filters, each as often as records have it.

use readout::{model::resource::Collection, pb::Account};

use super::{
    chance::{Chance, chance_of, one_of},
    query_subjects::Facts,
    world::World,
};

pub struct Sampler<'a> {
    pub facts: &'a Facts,
    world: &'a World,
    chance: Chance,
}

impl<'a> Sampler<'a> {
    /// A sampler with the same name yields the same values.
    pub fn new(name: &str, world: &'a World, facts: &'a Facts) -> Self {
        Self { facts, world, chance: chance_of(name, 0) }
    }

    /// A region of a meeting.
    pub fn region(&mut self) -> String {
        self.of_account(|account, chance| some(chance, regions(account)))
    }

    /// Two regions of one meeting.
    pub fn pair(&mut self) -> [String; 2] {
        self.of_account(|account, _| {
            let mut regions = regions(account);
            // Without repetitions in a row, the first two differ.
            regions.dedup();
            Some([regions.first()?.clone(), regions.get(1)?.clone()])
        })
    }

    /// The region of a meeting's place.
    pub fn place(&mut self) -> String {
        let region = |account: &Account| Some(account.place.as_ref()?.region_code.clone());
        self.of_account(|account, _| region(account).filter(|code| !code.is_empty()))
    }

    /// A participant of a meeting.
    pub fn participant(&mut self) -> String {
        self.of_account(|account, chance| {
            let names = account.participations.iter().map(|person| person.participant.clone());
            some(chance, names.filter(|name| Collection::Participants.id(name).is_some()).collect())
        })
    }

    /// Any participant, however rarely they take part.
    pub fn any_participant(&mut self) -> String {
        self.world.any_participant(&mut self.chance)
    }

    /// Two different participants.
    pub fn two(&mut self, participant: fn(&mut Self) -> String) -> [String; 2] {
        loop {
            let [first, second] = [participant(self), participant(self)];
            if first != second {
                return [first, second];
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

    /// A word in an article.
    pub fn word(&mut self) -> String {
        loop {
            let meeting = self.world.meeting(&mut self.chance);
            let words = meeting.text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 3);
            if let Some(word) = some(&mut self.chance, words.map(str::to_owned).collect()) {
                return word;
            }
        }
    }

    /// A value of the first meeting that has it.
    fn of_account<T>(&mut self, value: impl Fn(&Account, &mut Chance) -> Option<T>) -> T {
        loop {
            let meeting = self.world.meeting(&mut self.chance);
            if let Some(found) = value(&meeting.account, &mut self.chance) {
                return found;
            }
        }
    }
}

fn regions(account: &Account) -> Vec<String> {
    let codes = account.participations.iter().map(|person| person.region_code.clone());
    codes.filter(|code| !code.is_empty()).collect()
}

fn some<T: Clone>(chance: &mut Chance, values: Vec<T>) -> Option<T> {
    (!values.is_empty()).then(|| one_of(chance, &values).clone())
}
