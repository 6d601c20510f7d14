//! Links of meetings by external id: the FULL view names the live meetings that have the ids when it is made. A view as
//! of a time does not, because it must not change afterwards.

use std::{collections::BTreeSet, sync::Arc};

use super::settle_inputs::SettleInputs;
use crate::{
    model::report::ids_of_links,
    service::{Api, error::ServiceError},
    store::meeting::find_by_external_ids,
};

/// Finds the meetings to which the reports of these meetings link by external id: one query for all.
///
/// # Errors
/// The database fails.
pub async fn find_links<'a>(api: &Api, inputs: impl Iterator<Item = &'a mut SettleInputs>) -> Result<(), ServiceError> {
    let inputs: Vec<&mut SettleInputs> = inputs.collect();
    let reports = inputs.iter().flat_map(|inputs| &inputs.reports).map(|input| &input.report);
    let ids: BTreeSet<(&str, &str)> = reports.flat_map(ids_of_links).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let linked = Arc::new(find_by_external_ids(api.store.reads(), &ids).await?);
    for inputs in inputs {
        inputs.linked = Arc::clone(&linked);
    }
    Ok(())
}
