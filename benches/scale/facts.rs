//! What the questions need to know of the records.

use readout::model::resource::Collection;
use sqlx::PgConnection;
use uuid::Uuid;

/// So many meetings some participant should have, where there are enough.
const MANY: i64 = 10_000;

/// Somebody, and how many meetings there are at which others could be met.
#[derive(Debug, Clone)]
pub struct Met {
    pub name: String,
    pub meetings: i64,
}

#[derive(Debug, Clone)]
pub struct Facts {
    /// The one with the most meetings.
    pub busiest: Met,
    /// The one whose number of meetings is nearest to `MANY`.
    pub busy: Met,
}

impl Facts {
    pub async fn learn(connection: &mut PgConnection) -> Self {
        let counts: Vec<(Uuid, i64)> = sqlx::query_as(
            "select participant, count(distinct meeting)
             from participation
             where together
               and participant is not null
             group by participant
             order by count(distinct meeting) desc
             limit 1000",
        )
        .fetch_all(connection)
        .await
        .expect("counted");
        let met = |one: Option<&(Uuid, i64)>| {
            let (id, meetings) = *one.expect("there are meetings");
            Met { name: Collection::Participants.name(id), meetings }
        };
        Self {
            busiest: met(counts.first()),
            busy: met(counts.iter().min_by_key(|(_, meetings)| (meetings - MANY).abs())),
        }
    }
}
