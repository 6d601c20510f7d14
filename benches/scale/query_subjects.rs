//! Facts about the records that the queries depend on.

use readout::model::resource::Collection;
use sqlx::PgConnection;
use uuid::Uuid;

/// The number of meetings that a busy participant should have, if there are enough.
const BUSY_MEETINGS: i64 = 10_000;

/// A participant, and the number of their meetings with others.
#[derive(Debug, Clone)]
pub struct BusyParticipant {
    pub name: String,
    pub meetings: i64,
}

#[derive(Debug, Clone)]
pub struct Facts {
    /// The participant with the most meetings.
    pub busiest: BusyParticipant,
    /// The participant whose number of meetings is closest to `BUSY_MEETINGS`.
    pub busy: BusyParticipant,
}

impl Facts {
    pub async fn read(connection: &mut PgConnection) -> Self {
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
        let participant = |row: Option<&(Uuid, i64)>| {
            let (id, meetings) = *row.expect("there are meetings");
            BusyParticipant { name: Collection::Participants.name(id), meetings }
        };
        Self {
            busiest: participant(counts.first()),
            busy: participant(counts.iter().min_by_key(|(_, meetings)| (meetings - BUSY_MEETINGS).abs())),
        }
    }
}
