//! The methods that each role may call: those that the contract declares for it or for a lower role.

use readout::{
    config::{Access, AnonymousRole, Reflection},
    model::role::Role,
    pb::{self, ErrorReason},
};
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{api_tokens, start, token, with};
use crate::support::{Refused, metadata_of, raw::Bytes, reason_of};

/// Calls a method of any kind with an empty message.
async fn call(channel: &Channel, path: &str, token: Option<&str>) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("the service listens");
    let messages = tokio_stream::iter([Vec::new()]);
    let request = match token {
        Some(token) => with(token, messages),
        None => Request::new(messages),
    };
    let path = PathAndQuery::try_from(path).expect("a path");
    client.streaming(request, path, Bytes).await?.into_inner().message().await.map(|_| ())
}

/// The methods of the contract, each with its required role.
fn methods() -> Vec<(String, Role)> {
    let option = pb::pool().get_extension_by_name("readout.v1.role").expect("is declared");
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let method = |method: prost_reflect::MethodDescriptor| {
        let role = method.options().get_extension(&option).as_enum_number().and_then(Role::of);
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        (path, role.expect("every method has one"))
    };
    let methods: Vec<_> = services.flat_map(|service| service.methods().map(method).collect::<Vec<_>>()).collect();
    assert!(
        methods.len() > 35 && Role::ALL[..3].iter().all(|role| methods.iter().any(|(_, required)| required == role))
    );
    methods
}

const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

#[tokio::test]
async fn every_method_requires_its_declared_role_or_a_higher_one() {
    let service = start(api_tokens()).await;
    let channel = service.channel().await;
    let methods: Vec<_> = methods().into_iter().chain(REFLECTION.map(|path| (path.to_owned(), Role::Reader))).collect();
    for role in Role::ALL {
        let token = token(&service.database, "caller", role).await.reveal();
        for (path, required) in &methods {
            let outcome = call(&channel, path, Some(&token)).await;
            let refused = outcome.err().filter(|status| status.code() == Code::PermissionDenied);
            assert_eq!(refused.is_some(), role < *required, "{role} {path} {refused:?}");
            if let Some(status) = refused {
                assert_eq!(reason_of(&status), ErrorReason::RoleTooLow);
                let roles = (metadata_of(&status, "required"), metadata_of(&status, "role"));
                assert_eq!(roles, (required.as_contract().to_owned(), role.as_contract().to_owned()));
            }
        }
    }
    let missing = Refused::with(Code::Unauthenticated, ErrorReason::CredentialsMissing);
    for (path, _) in &methods {
        assert_eq!(Refused::from(call(&channel, path, None).await.unwrap_err()), missing, "{path}");
    }
}

#[tokio::test]
async fn an_unauthenticated_caller_does_not_learn_which_methods_exist() {
    let service = start(api_tokens()).await;
    let channel = service.channel().await;
    let reader = token(&service.database, "reader", Role::Reader).await.reveal();
    for path in ["/readout.v1.MeetingService/MeetPeople", "/readout.v2.MeetingService/GetMeeting", "/x"] {
        let unknown = Refused::with(Code::Unimplemented, ErrorReason::UnknownMethod);
        assert_eq!(Refused::from(call(&channel, path, Some(&reader)).await.unwrap_err()), unknown, "{path}");
        let missing = Refused::with(Code::Unauthenticated, ErrorReason::CredentialsMissing);
        assert_eq!(Refused::from(call(&channel, path, None).await.unwrap_err()), missing, "{path}");
    }
}

#[tokio::test]
async fn the_health_check_needs_no_credentials() {
    for access in [api_tokens(), Access { anonymous_role: Some(AnonymousRole::None), rate: 1, ..Default::default() }] {
        let service = start(access).await;
        let mut health = HealthClient::new(service.channel().await);
        for _ in 0..20 {
            health.check(HealthCheckRequest::default()).await.expect("no credentials are needed");
        }
    }
}

#[tokio::test]
async fn a_caller_without_credentials_has_the_anonymous_role() {
    let service = start(Access { anonymous_role: Some(AnonymousRole::Writer), ..api_tokens() }).await;
    let channel = service.channel().await;
    for (path, required) in methods() {
        let outcome = call(&channel, &path, None).await;
        let is_denied = outcome.is_err_and(|status| status.code() == Code::PermissionDenied);
        assert_eq!(is_denied, Role::Writer < required, "{path}");
    }
}

#[tokio::test]
async fn reflection_methods_are_unknown_when_reflection_is_off() {
    let service = start(Access { reflection: Reflection::Off, ..Default::default() }).await;
    let channel = service.channel().await;
    for path in REFLECTION {
        let unknown = Refused::with(Code::Unimplemented, ErrorReason::UnknownMethod);
        assert_eq!(Refused::from(call(&channel, path, None).await.unwrap_err()), unknown);
    }
}
