//! Warns of stories with markup. Texts are plain text: markup is stored as it is sent, and shown to readers as such.

use crate::{
    model::{
        rules::Path,
        text::{markup::first_markup, quoted::quoted},
    },
    pb::{Account, Participant, Story},
};

/// Maximum number of fields that the warning names.
const MAX_NAMED: usize = 10;

/// The warning that names the texts of a story with markup. `None` if it has none.
pub fn warning(story: &Story, at: &Path<'_>) -> Option<String> {
    let mut found = Found::default();
    if let Some(article) = &story.article {
        let at = at.field("article");
        found.check(&article.title, &at.field("title"));
        found.check(&article.text, &at.field("text"));
    }
    let participants = at.field("participants");
    for (index, entry) in story.participants.iter().enumerate() {
        if let Some(participant) = &entry.participant {
            found.participant(participant, &participants.index(index).field("participant"));
        }
    }
    let reports = at.field("reports");
    for (index, report) in story.reports.iter().enumerate() {
        if let Some(account) = &report.account {
            found.account(account, &reports.index(index).field("account"));
        }
    }
    found.warning()
}

#[derive(Default)]
struct Found {
    named: Vec<String>,
    count: usize,
}

impl Found {
    fn check(&mut self, text: &str, at: &Path<'_>) {
        let Some(markup) = first_markup(text) else { return };
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("{at} ({})", quoted(markup)));
        }
    }

    fn participant(&mut self, participant: &Participant, at: &Path<'_>) {
        self.check(&participant.display_name, &at.field("display_name"));
        let names = at.field("names");
        for (index, name) in participant.names.iter().enumerate() {
            self.check(&name.text, &names.index(index).field("text"));
        }
    }

    fn account(&mut self, account: &Account, at: &Path<'_>) {
        self.check(&account.title, &at.field("title"));
        self.check(&account.summary, &at.field("summary"));
        let delegations = at.field("delegations");
        for (index, delegation) in account.delegations.iter().enumerate() {
            self.check(&delegation.label, &delegations.index(index).field("label"));
        }
        let participations = at.field("participations");
        for (index, participation) in account.participations.iter().enumerate() {
            let at = participations.index(index);
            self.check(&participation.name_as_written, &at.field("name_as_written"));
            if let Some(office) = &participation.office {
                let at = at.field("office");
                self.check(&office.title, &at.field("title"));
                self.check(&office.organization, &at.field("organization"));
            }
        }
        let statements = at.field("statements");
        for (index, statement) in account.statements.iter().enumerate() {
            let at = statements.index(index);
            self.check(&statement.speaker_as_written, &at.field("speaker_as_written"));
            self.check(&statement.text, &at.field("text"));
        }
        let outcomes = at.field("outcomes");
        for (index, outcome) in account.outcomes.iter().enumerate() {
            self.check(&outcome.title, &outcomes.index(index).field("title"));
        }
    }

    fn warning(self) -> Option<String> {
        let more = match self.count - self.named.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let fields = self.named.join(", ");
        (self.count > 0).then(|| format!("markup is stored as text: texts are plain text, unlike {fields}{more}"))
    }
}
