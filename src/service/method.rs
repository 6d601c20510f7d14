//! The methods that the service answers, as the descriptors tell of them.

use std::{collections::HashMap, sync::LazyLock};

use crate::pb;

/// A method of the contract, or of what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its path on the wire, as `/readout.v1.MeetingService/GetMeeting`.
    pub path: String,
    /// Whether it answers with a stream.
    pub is_streaming: bool,
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let method = |one: prost_reflect::MethodDescriptor| {
        let path = format!("/{}/{}", one.parent_service().full_name(), one.name());
        (path.clone(), Method { path, is_streaming: one.is_server_streaming() })
    };
    methods.map(method).collect()
});

impl Method {
    /// The method of a path, if it is one of the contract.
    pub fn of(path: &str) -> Option<&'static Self> {
        METHODS.get(path)
    }

    /// All methods of the contract.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        METHODS.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_of_the_contract() {
        let is_streaming = |path| Method::of(path).map(|method| method.is_streaming);
        assert_eq!(is_streaming("/readout.v1.MeetingService/GetMeeting"), Some(false));
        assert_eq!(is_streaming("/readout.v1.IngestService/IngestStories"), Some(true));
        assert_eq!(is_streaming("/readout.v1.ChangeService/WatchChanges"), Some(true));
        assert_eq!(is_streaming("/readout.v1.MeetingService/MeetPeople"), None);
    }
}
