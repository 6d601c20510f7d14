//! Authentication by client certificate. The transport has verified the certificate; this module only reads its names.

use std::{collections::BTreeMap, fmt, str::FromStr};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{
    denied::Denied,
    principal::{Identity, Validity, principal_name},
};
use crate::model::role::Role;

/// The role of client certificates with this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The name in the certificate.
    pub name: String,
    /// The role of its holder.
    pub role: Role,
}

impl FromStr for ClientIdentity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
        let (name, role) = parts.ok_or_else(|| "must be NAME=ROLE".to_owned())?;
        let role = role.parse().map_err(|error| format!("the role {error}"))?;
        Ok(Self { name: name.to_owned(), role })
    }
}

impl fmt::Display for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.role)
    }
}

/// The roles of client certificates, by a name in the certificate.
#[derive(Debug, Default)]
pub struct Identities(BTreeMap<String, Role>);

impl Identities {
    /// The configured roles. Of two entries with the same name the last wins.
    pub fn new(configured: &[ClientIdentity]) -> Self {
        Self(configured.iter().map(|identity| (identity.name.clone(), identity.role)).collect())
    }

    /// True if no certificate has a role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The identity of a certificate: its first name that has a role, else its first name, without a role.
    ///
    /// # Errors
    /// The certificate cannot be parsed, or has no name.
    pub fn authenticate(&self, certificate: &[u8]) -> Result<Identity, Denied> {
        let names = names(certificate).ok_or(Denied::Invalid("the client certificate cannot be read"))?;
        let with_role = names.iter().find_map(|name| Some((name, Some(*self.0.get(name)?))));
        let (id, role) = with_role
            .or_else(|| Some((names.first()?, None)))
            .ok_or(Denied::Invalid("the client certificate has no name"))?;
        Ok(Identity {
            name: principal_name("cert", id),
            role,
            scopes: None,
            until: Validity::Always,
            unused_token: None,
        })
    }
}

/// The names in a certificate: its URIs (SPIFFE), else its DNS names, else the common name of its subject. A weaker
/// kind of name never gives a role that the stronger one does not have (RFC 6125, 6.4.4).
fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternative = certificate.subject_alternative_name().ok()?;
    let alternative = alternative.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let uris = alternative.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    let dns = alternative.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned);
    let kinds: [Vec<_>; 3] = [uris.collect(), dns.collect(), common.collect()];
    Some(kinds.into_iter().find(|names| !names.is_empty()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], dns: &[&str], common_name: &str) -> Vec<u8> {
        let mut params =
            CertificateParams::new(dns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("a URI"))));
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("signed").der().to_vec()
    }

    fn identities(configured: &[(&str, Role)]) -> Identities {
        let identity = |(name, role): &(&str, Role)| ClientIdentity { name: (*name).to_owned(), role: *role };
        Identities::new(&configured.iter().map(identity).collect::<Vec<_>>())
    }

    #[test]
    fn certificate_is_identified_by_its_strongest_kind_of_name() {
        let identities = identities(&[
            ("spiffe://example.org/desk", Role::Curator),
            ("crawler.example.org", Role::Writer),
            ("dashboard", Role::Reader),
        ]);
        let identify = |uris: &[&str], dns: &[&str], common_name| {
            let identity = identities.authenticate(&certificate(uris, dns, common_name)).expect("an identity");
            (identity.name.to_string(), identity.role)
        };
        let (desk, crawler) = ("spiffe://example.org/desk", "crawler.example.org");
        assert_eq!(identify(&[desk], &[crawler], "dashboard"), (format!("cert/{desk}"), Some(Role::Curator)));
        assert_eq!(identify(&[], &["other", crawler], "dashboard"), (format!("cert/{crawler}"), Some(Role::Writer)));
        assert_eq!(identify(&[], &[], "dashboard"), ("cert/dashboard".to_owned(), Some(Role::Reader)));
        // A weaker kind of name is ignored next to a stronger one.
        let other = "spiffe://example.org/other";
        assert_eq!(identify(&[other], &[crawler], "dashboard"), (format!("cert/{other}"), None));
        assert_eq!(identify(&[], &["other"], "dashboard"), ("cert/other".to_owned(), None));
    }

    #[test]
    fn certificate_that_is_invalid_or_nameless_is_refused() {
        let identities = identities(&[("dashboard", Role::Reader)]);
        assert!(matches!(identities.authenticate(b"no certificate"), Err(Denied::Invalid(_))));
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let nameless = params.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
        assert!(matches!(identities.authenticate(nameless.der()), Err(Denied::Invalid(_))));
    }
}
