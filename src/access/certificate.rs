//! Callers known by their certificate. The transport has verified it; here it is only read.

use std::{collections::BTreeMap, fmt, str::FromStr};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{
    denied::Denied,
    principal::{Identity, Validity, name},
};
use crate::model::role::Role;

/// A client certificate that gives a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// A name in it.
    pub name: String,
    /// The role.
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

/// The certificates that give a role, by the name in them.
#[derive(Debug, Default)]
pub struct Identities(BTreeMap<String, Role>);

impl Identities {
    /// Those of the configuration; of two with one name the last holds.
    pub fn new(configured: &[ClientIdentity]) -> Self {
        Self(configured.iter().map(|one| (one.name.clone(), one.role)).collect())
    }

    /// Whether certificates give no role at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a certificate names: by the first of its names that has a role, else by the first, without any.
    pub fn known(&self, certificate: &[u8]) -> Result<Identity, Denied> {
        let names = names(certificate).ok_or(Denied::Invalid("the client certificate cannot be read"))?;
        let with_role = names.iter().find_map(|name| Some((name, Some(*self.0.get(name)?))));
        let (said, role) = with_role
            .or_else(|| Some((names.first()?, None)))
            .ok_or(Denied::Invalid("the client certificate names nobody"))?;
        Ok(Identity { name: name("cert", said), role, until: Validity::Always })
    }
}

/// The names in a certificate: its URIs (SPIFFE), or if it has none its DNS names, or if it has neither the common name of
/// its subject. A certificate never gets by a weaker sort of name what its stronger one does not have (RFC 6125, 6.4.4).
fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternative = certificate.subject_alternative_name().ok()?;
    let alternative = alternative.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    let uris = alternative.iter().filter_map(|one| match one {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    let dns = alternative.iter().filter_map(|one| match one {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let common = certificate.subject().iter_common_name().filter_map(|one| one.as_str().ok()).map(str::to_owned);
    let sorts: [Vec<_>; 3] = [uris.collect(), dns.collect(), common.collect()];
    Some(sorts.into_iter().find(|names| !names.is_empty()).unwrap_or_default())
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
        let one = |(name, role): &(&str, Role)| ClientIdentity { name: (*name).to_owned(), role: *role };
        Identities::new(&configured.iter().map(one).collect::<Vec<_>>())
    }

    #[test]
    fn a_certificate_is_known_by_its_strongest_sort_of_name() {
        let of = identities(&[
            ("spiffe://example.org/desk", Role::Curator),
            ("crawler.example.org", Role::Writer),
            ("dashboard", Role::Reader),
        ]);
        let known = |uris: &[&str], dns: &[&str], common_name| {
            let known = of.known(&certificate(uris, dns, common_name)).expect("it is known");
            (known.name.to_string(), known.role)
        };
        let (desk, crawler) = ("spiffe://example.org/desk", "crawler.example.org");
        assert_eq!(known(&[desk], &[crawler], "dashboard"), (format!("cert/{desk}"), Some(Role::Curator)));
        assert_eq!(known(&[], &["other", crawler], "dashboard"), (format!("cert/{crawler}"), Some(Role::Writer)));
        assert_eq!(known(&[], &[], "dashboard"), ("cert/dashboard".to_owned(), Some(Role::Reader)));
        // What stands in a weaker sort of name counts for nothing beside a stronger one.
        let other = "spiffe://example.org/other";
        assert_eq!(known(&[other], &[crawler], "dashboard"), (format!("cert/{other}"), None));
        assert_eq!(known(&[], &["other"], "dashboard"), ("cert/other".to_owned(), None));
    }

    #[test]
    fn what_is_no_certificate_or_names_nobody_is_refused() {
        let of = identities(&[("dashboard", Role::Reader)]);
        assert!(matches!(of.known(b"no certificate"), Err(Denied::Invalid(_))));
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let nobody = params.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
        assert!(matches!(of.known(nobody.der()), Err(Denied::Invalid(_))));
    }
}
