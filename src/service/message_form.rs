//! The form in which the messages of a call travel if it is not that of gRPC, and the conversion from JSON.

use prost_reflect::MessageDescriptor;
use tonic::Status;

use super::{
    error::ServiceError,
    status::{self, MESSAGE_BYTES},
};
use crate::{
    json::{Fault, JsonLimits, to_wire},
    model::rules::wire_limits::{Breach, MAX_ITEMS},
};

/// The form of the messages of a call. It is an extension of the request.
#[derive(Debug, Clone, Default)]
pub struct MessageForm {
    /// The types of the messages, if they are JSON.
    pub json: Option<JsonTypes>,
    /// True if the body of the request is one message, without the prefix of gRPC.
    pub is_unframed: bool,
}

/// The types of the messages of a method.
#[derive(Debug, Clone)]
pub struct JsonTypes {
    pub request: MessageDescriptor,
    pub response: MessageDescriptor,
}

/// Converts a request from JSON. Its items are counted on the way: a text of many small items is refused before it is
/// converted whole.
///
/// # Errors
/// The status of a text that is malformed, too large or has too many items.
pub fn from_json(json: &[u8], request: &MessageDescriptor) -> Result<Vec<u8>, Status> {
    to_wire(json, request, JsonLimits { bytes: MESSAGE_BYTES, items: MAX_ITEMS }).map_err(|fault| match fault {
        Fault::Mismatch(mismatch) => status::mismatch(&mismatch),
        Fault::TooManyItems => ServiceError::from(Breach::Items).into(),
        Fault::TooLarge => ServiceError::RequestTooLarge.into(),
    })
}
