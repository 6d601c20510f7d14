//! Rules that span several fields of one message; the rules of single fields are declared in the contract.
use super::rules::{Path, Violations};
use crate::pb;
pub fn account(_: &pb::Account, _: &Path<'_>, _: &mut Violations) {}
pub fn date_span(_: &pb::DateSpan, _: &Path<'_>, _: &mut Violations) {}
pub fn list_reports_request(_: &pb::ListReportsRequest, _: &Path<'_>, _: &mut Violations) {}
pub fn office_term(_: &pb::OfficeTerm, _: &Path<'_>, _: &mut Violations) {}
pub fn participation(_: &pb::Participation, _: &Path<'_>, _: &mut Violations) {}
pub fn story(_: &pb::Story, _: &Path<'_>, _: &mut Violations) {}
