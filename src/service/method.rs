//! The methods that the service answers, as the descriptors tell of them.

use std::{collections::HashMap, sync::LazyLock};

use crate::{
    model::{role::Role, text::suggestion},
    pb,
};

/// A method of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its path on the wire, as `/readout.v1.MeetingService/GetMeeting`.
    pub path: String,
    /// Whether it answers with a stream.
    pub is_streaming: bool,
    /// The least role of its callers. One without it, which build.rs lets nobody declare, has no callers.
    pub role: Option<Role>,
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let role = pb::pool().get_extension_by_name("readout.v1.role");
    let role_of =
        |one: &prost_reflect::MethodDescriptor| Role::of(one.options().get_extension(role.as_ref()?).as_enum_number()?);
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let method = |one: prost_reflect::MethodDescriptor| {
        let path = format!("/{}/{}", one.parent_service().full_name(), one.name());
        (path.clone(), Method { path, is_streaming: one.is_server_streaming(), role: role_of(&one) })
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

/// The path that was probably meant, where no method of the contract has this one.
pub fn nearest(path: &str) -> Option<&'static str> {
    suggestion::nearest(METHODS.keys().map(String::as_str), path)
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

    #[test]
    fn nearest_method_is_found_by_its_path() {
        let meeting = "/readout.v1.MeetingService/GetMeeting";
        assert_eq!(nearest("/readout.v1.MeetingService/GetMeting"), Some(meeting));
        assert_eq!(nearest("/readout.v1.MeetingService/getMeeting"), Some(meeting));
        assert_eq!(nearest("/api/v1/meetings"), None);
    }

    /// What a role may is part of the contract: a method that moves to another one is noticed here.
    #[test]
    fn every_method_has_the_role_that_its_name_promises() {
        for method in METHODS.values() {
            let name = method.path.rsplit('/').next().unwrap_or_default();
            let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
            let role = if begins(&["Get", "BatchGet", "List", "Stream", "Find", "Aggregate", "Watch"]) {
                Role::Reader
            } else if begins(&["Create", "Add", "Ingest", "UpdateArticle", "UpdateParticipant"]) {
                Role::Writer
            } else {
                assert!(begins(&["UpdateMeeting", "Retract", "Merge", "Split", "Delete", "Undelete"]), "{name}");
                Role::Curator
            };
            assert_eq!(method.role, Some(role), "{name}");
        }
    }
}
