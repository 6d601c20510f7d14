//! The methods that this port serves, those of health checks and reflection included.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

use crate::{
    pb,
    service::{message_form::JsonTypes, method::Method},
};

/// The health check, which is read with GET too: probes often know nothing else.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// A method.
#[derive(Debug)]
pub struct Rpc {
    pub types: JsonTypes,
    pub receives_stream: bool,
    pub sends_stream: bool,
    /// True if the method only reads, so that GET may call it.
    pub has_no_effects: bool,
    /// True for a method of the contract, whose messages `layer::request_body` reads.
    pub is_of_contract: bool,
}

static RPCS: LazyLock<HashMap<String, Rpc>> = LazyLock::new(|| {
    let further = [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let further = further.map(|bytes| DescriptorPool::decode(bytes).expect("the crate has valid descriptors"));
    let services = std::iter::once(pb::pool()).chain(&further).flat_map(DescriptorPool::services);
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| (path(&method), Rpc::new(&method))).collect()
});

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

impl Rpc {
    fn new(method: &MethodDescriptor) -> Self {
        let path = path(method);
        let level = method.method_descriptor_proto().options.as_ref().map(|options| options.idempotency_level());
        Self {
            types: JsonTypes { request: method.input(), response: method.output() },
            receives_stream: method.is_client_streaming(),
            sends_stream: method.is_server_streaming(),
            has_no_effects: level == Some(IdempotencyLevel::NoSideEffects) || path == HEALTH_CHECK,
            is_of_contract: Method::of(&path).is_some(),
        }
    }

    /// The method at a path.
    pub fn of(path: &str) -> Option<&'static Self> {
        RPCS.get(path)
    }

    /// True if GET may call the method.
    pub fn allows_get(&self) -> bool {
        self.has_no_effects && !self.sends_stream && !self.receives_stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::role::Role;

    /// Caches and crawlers may repeat a GET.
    #[test]
    fn get_calls_every_unary_read_of_the_contract_and_nothing_else() {
        for method in Method::all() {
            let rpc = Rpc::of(&method.path).expect("a method");
            let is_read = method.role == Some(Role::Reader) || method.path.ends_with("ListAuditEvents");
            assert_eq!(rpc.has_no_effects, is_read, "{}", method.path);
            assert_eq!(rpc.allows_get(), is_read && !method.is_streaming, "{}", method.path);
            assert!(!(is_read && method.is_write()), "{}", method.path);
        }
        assert!(Rpc::of(HEALTH_CHECK).is_some_and(Rpc::allows_get));
        let reflection = Rpc::of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").expect("a method");
        assert!(reflection.receives_stream && !reflection.is_of_contract);
    }
}
