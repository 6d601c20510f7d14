//! Questions of any kind, as their clients put them.

use std::time::Duration;

use readout::pb::{ListMeetingsRequest, meeting_service_client::MeetingServiceClient};
use tonic::{Request, Status, transport::Channel};

/// Nothing that is measured is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that reads.
#[derive(Debug, Clone)]
pub enum Question {
    Meetings(ListMeetingsRequest),
}

impl Question {
    /// Asks, and answers how many records or rows the answer has.
    pub async fn ask(self, to: &Channel) -> Result<usize, Status> {
        match self {
            Self::Meetings(one) => {
                let page = MeetingServiceClient::new(to.clone()).list_meetings(patiently(one)).await?;
                Ok(page.into_inner().meetings.len())
            }
        }
    }
}

fn patiently<Q>(question: Q) -> Request<Q> {
    let mut request = Request::new(question);
    request.set_timeout(PATIENCE);
    request
}

/// The first page of the meetings for which a filter is true.
pub fn meetings(filter: String) -> Question {
    Question::Meetings(ListMeetingsRequest { filter, page_size: 50, ..Default::default() })
}
