//! Reads the pairs page by page, the strongest first.

use tonic::Status;

use crate::{
    cli::{
        Clients,
        retry::{self, CallBackoff},
    },
    pb::{ErrorReason, ListDuplicatesRequest, list_duplicates_response::Duplicate},
};

/// Pairs in a page.
const PAGE_SIZE: i32 = 100;

/// The pages of the list.
pub struct Pages<'a> {
    clients: &'a Clients,
    request: ListDuplicatesRequest,
    backoff: CallBackoff,
    has_ended: bool,
}

impl<'a> Pages<'a> {
    /// Begins with the first page.
    pub fn new(clients: &'a Clients, filter: &str) -> Self {
        let request = ListDuplicatesRequest { filter: filter.to_owned(), page_size: PAGE_SIZE, ..Default::default() };
        Self { clients, request, backoff: clients.backoff(), has_ended: false }
    }

    /// Reads the next page. `None` after the last one. A page may be empty.
    ///
    /// # Errors
    /// The status of a call that is not repeated.
    pub async fn next(&mut self) -> Result<Option<Vec<Duplicate>>, Status> {
        while !self.has_ended {
            let mut client = self.clients.participants.clone();
            match self.clients.answer(client.list_duplicates(self.request.clone())).await {
                Ok(page) => {
                    self.backoff.reset();
                    let page = page.into_inner();
                    self.has_ended = page.next_page_token.is_empty();
                    self.request.page_token = page.next_page_token;
                    return Ok(Some(page.duplicates));
                }
                // Participants with many long names: fewer of them fit into a response.
                Err(status) if is_too_large(&status) && self.request.page_size > 1 => self.request.page_size /= 2,
                Err(status) => self.backoff.after(status).await?,
            }
        }
        Ok(None)
    }
}

fn is_too_large(status: &Status) -> bool {
    retry::reason(status) == ErrorReason::MessageTooLarge.as_str_name()
}
