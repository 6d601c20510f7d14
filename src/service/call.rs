//! Who calls, and whether it is the first time.

use prost::Message;

use super::{Prepared, refusal::Refusal};
use crate::{
    model::rules::{Check, Violations},
    store::{Store, request, write::Answer},
};

/// A request that writes.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks for it.
    pub actor: String,
    /// Full name of the method.
    pub method: &'static str,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    body_hash: [u8; 32],
}

/// Nobody in particular.
pub const ANONYMOUS: &str = "anonymous";

impl Call {
    /// A call of `method` with this request. One that is only validated is not remembered, and answers nobody else.
    pub fn new(method: &'static str, (request_id, validate_only): (&str, bool), request: &impl Message) -> Self {
        let request_id = if validate_only { "" } else { request_id };
        let body_hash = match request_id {
            "" => [0; 32],
            _ => *blake3::hash(&request.encode_to_vec()).as_bytes(),
        };
        Self { actor: ANONYMOUS.to_owned(), method, request_id: request_id.to_owned(), body_hash }
    }

    /// What the same request was answered before, if it was. The same id with another body is refused.
    pub async fn answered<T: Message + Default>(&self, store: &Store) -> Result<Option<T>, Refusal> {
        if self.request_id.is_empty() {
            return Ok(None);
        }
        let found = request::find(store.reads(), &self.actor, self.method, &self.request_id).await?;
        let Some((body_hash, answer)) = found else { return Ok(None) };
        if body_hash != self.body_hash {
            return Err(Refusal::RequestIdReused(self.request_id.clone()));
        }
        // What another release answered with fields that this one does not know is still an answer.
        Ok(T::decode(answer.as_slice()).ok())
    }

    /// Prepares the answer to a request, unless it was answered before.
    pub async fn once<T: Message + Default>(
        &self,
        store: &Store,
        prepare: impl Future<Output = Result<Prepared<T>, Refusal>>,
    ) -> Result<Prepared<T>, Refusal> {
        if let Some(answer) = self.answered(store).await? {
            return Ok(Prepared::Unchanged(answer));
        }
        match prepare.await {
            // What was in its way may be what its own twin has written meanwhile.
            Err(refusal) => self.answered(store).await?.map(Prepared::Unchanged).ok_or(refusal),
            prepared => prepared,
        }
    }

    /// The answer to remember with the write.
    pub fn remember(&self, answer: &impl Message) -> Option<Answer> {
        let is_named = !self.request_id.is_empty();
        is_named.then(|| Answer { method: self.method, body_hash: self.body_hash, bytes: answer.encode_to_vec() })
    }
}

/// Checks a request against the contract.
pub fn check(request: &impl Check) -> Result<(), Violations> {
    request.violations().into_result()
}
