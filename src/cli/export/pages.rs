//! Streams of pages, which are resumed when the connection breaks.

use anyhow::Result;
use tonic::{Response, Status, Streaming};

use crate::cli::{Clients, retry};

/// Reads a stream of pages to its end. If the connection breaks, resumes after the last page. `each` handles a page and
/// returns the token of the next one.
///
/// # Errors
/// If the stream cannot start or continue, or `each` fails.
pub async fn pages<P>(
    clients: &Clients,
    open: impl AsyncFn(String) -> Result<Response<Streaming<P>>, Status>,
    mut each: impl AsyncFnMut(P) -> Result<String>,
) -> Result<()> {
    let mut backoff = clients.backoff();
    let mut token = None;
    loop {
        let broken = match clients.answer(open(token.clone().unwrap_or_default())).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match clients.answer(stream.message()).await {
                        Ok(Some(page)) => {
                            backoff.reset();
                            token = Some(each(page).await?);
                        }
                        Ok(None) => return Ok(()),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        if token.as_ref().is_some_and(String::is_empty) {
            // The last page was read: the end of the stream does not matter.
            return Ok(());
        }
        backoff.after(broken).await.map_err(retry::given_up)?;
    }
}
