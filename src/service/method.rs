//! The methods of the contract, read from the protobuf descriptors.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{Kind, MethodDescriptor};

use crate::{
    model::{role::Role, rules::wire_limits::RequestType, text::suggestion},
    pb::{self, ScopeRule},
};

/// A method of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// The path on the wire, such as `/readout.v1.MeetingService/GetMeeting`.
    pub path: String,
    /// True if the method responds with a stream.
    pub is_streaming: bool,
    /// True if the request is a stream.
    pub sends_stream: bool,
    /// The type of its requests.
    pub request: RequestType,
    /// The numbers of the request's fields with names of records.
    pub name_fields: Vec<u32>,
    /// The lowest role that may call the method. build.rs rejects methods without one; `None` would admit no caller.
    pub role: Option<Role>,
    /// The effect of scopes. build.rs rejects methods above the role reader without one.
    pub scope_rule: ScopeRule,
}

/// The fields of requests that have names of records.
const NAME_FIELDS: [&str; 10] =
    ["name", "names", "sources", "meeting", "article", "report", "participant", "other", "source", "target"];

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let role = pb::pool().get_extension_by_name("readout.v1.role");
    let role_of =
        |method: &MethodDescriptor| Role::of(method.options().get_extension(role.as_ref()?).as_enum_number()?);
    let scope_rule = pb::pool().get_extension_by_name("readout.v1.scope_rule");
    let scope_rule_of = |method: &MethodDescriptor| {
        let number = method.options().get_extension(scope_rule.as_ref()?).as_enum_number()?;
        ScopeRule::try_from(number).ok()
    };
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let method = |method: MethodDescriptor| {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let role = role_of(&method);
        let scope_rule = scope_rule_of(&method).unwrap_or_default();
        let (is_streaming, sends_stream) = (method.is_server_streaming(), method.is_client_streaming());
        let fields = method.input().fields().filter(|field| NAME_FIELDS.contains(&field.name())).collect::<Vec<_>>();
        let name_fields = fields.iter().filter(|field| field.kind() == Kind::String).map(|field| field.number());
        let name_fields = name_fields.collect();
        let request = RequestType::of(&method.input())?;
        Some((path.clone(), Method { path, is_streaming, sends_stream, request, name_fields, role, scope_rule }))
    };
    methods.filter_map(method).collect()
});

/// Prefixes of the names of methods that write.
const WRITE_PREFIXES: [&str; 13] = [
    "Create", "Update", "Delete", "Undelete", "Erase", "Add", "Retract", "Merge", "Unmerge", "Split", "Judge", "Bind",
    "Ingest",
];

impl Method {
    /// True if the method writes.
    pub fn is_write(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        WRITE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }

    /// The method of the contract at a path.
    pub fn of(path: &str) -> Option<&'static Self> {
        METHODS.get(path)
    }

    /// True if callers with scopes may call the method: it writes nothing, or checks the article of the write itself.
    /// Other methods are closed to them.
    pub fn is_open_to_scoped(&self) -> bool {
        match self.scope_rule {
            ScopeRule::Unspecified => self.role == Some(Role::Reader),
            ScopeRule::ByArticle | ScopeRule::ChangesNothing => true,
            ScopeRule::NoArticle => false,
        }
    }

    /// All methods of the contract.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        METHODS.values()
    }
}

/// The path that the caller probably meant, for a path without a method.
pub fn nearest(path: &str) -> Option<&'static str> {
    suggestion::nearest(METHODS.keys().map(String::as_str), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_lookup_finds_the_methods_of_the_contract() {
        let is_streaming = |path| Method::of(path).map(|method| method.is_streaming);
        assert_eq!(is_streaming("/readout.v1.MeetingService/GetMeeting"), Some(false));
        assert_eq!(is_streaming("/readout.v1.IngestService/IngestStories"), Some(true));
        assert_eq!(is_streaming("/readout.v1.ChangeService/WatchChanges"), Some(true));
        assert_eq!(is_streaming("/readout.v1.MeetingService/MeetPeople"), None);
    }

    #[test]
    fn nearest_suggests_the_method_with_a_similar_path() {
        let meeting = "/readout.v1.MeetingService/GetMeeting";
        assert_eq!(nearest("/readout.v1.MeetingService/GetMeting"), Some(meeting));
        assert_eq!(nearest("/readout.v1.MeetingService/getMeeting"), Some(meeting));
        assert_eq!(nearest("/api/v1/meetings"), None);
    }

    /// Roles are part of the contract: this test fails when a method moves to another role.
    #[test]
    fn every_method_has_the_role_that_its_name_promises() {
        for method in METHODS.values() {
            let name = method.path.rsplit('/').next().unwrap_or_default();
            let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
            let role = if name.ends_with("AuditEvents") {
                Role::Admin
            } else if begins(&["Get", "BatchGet", "List", "Stream", "Find", "Aggregate", "Watch", "Compare", "Match"]) {
                Role::Reader
            } else if begins(&["Create", "Add", "Ingest", "UpdateArticle", "UpdateParticipant"]) {
                Role::Writer
            } else if begins(&["Erase"]) {
                Role::Admin
            } else {
                let decisions =
                    ["UpdateMeeting", "Retract", "Merge", "Unmerge", "Split", "Judge", "Bind", "Delete", "Undelete"];
                assert!(begins(&decisions), "{name}");
                Role::Curator
            };
            assert_eq!(method.role, Some(role), "{name}");
        }
    }

    /// A method that can write is closed to callers with scopes, or checks the article of its writes.
    #[test]
    fn every_method_with_validate_only_has_the_scope_rule_of_a_write() {
        let by_article = [
            "Article",
            "ArticleText",
            "CreateMeeting",
            "AddReport",
            "RetractReport",
            "BindParticipation",
            "IngestStory",
            "IngestStories",
        ];
        for service in pb::pool().services().filter(|service| service.package_name() == "readout.v1") {
            for method in service.methods().filter(|method| method.input().get_field_by_name("validate_only").is_some())
            {
                let name = method.name();
                let rule = match by_article.iter().any(|end| name.ends_with(end)) {
                    true => ScopeRule::ByArticle,
                    false => ScopeRule::NoArticle,
                };
                let path = format!("/{}/{name}", service.full_name());
                assert_eq!(Method::of(&path).map(|method| method.scope_rule), Some(rule), "{name}");
            }
        }
    }
}
