//! FilterService: lists the fields and functions that filters can use.

use tonic::{Request, Response, Status};

use super::{Api, check, error::ServiceError};
use crate::{
    model::query::filter::{Field, Function, filter_schema},
    pb::{
        FilterField, FilterFunction, ListFilterFieldsRequest, ListFilterFieldsResponse,
        filter_service_server::FilterService,
    },
};

#[tonic::async_trait]
impl FilterService for Api {
    async fn list_filter_fields(
        &self,
        request: Request<ListFilterFieldsRequest>,
    ) -> Result<Response<ListFilterFieldsResponse>, Status> {
        let request = request.into_inner();
        check(&request).map_err(ServiceError::from)?;
        // The request's rule admits only collections with a schema.
        let schema = filter_schema(&request.collection).ok_or(ServiceError::Defect)?;
        let fields = schema.fields.iter().map(field).collect();
        let functions = schema.functions.iter().map(function).collect();
        Ok(Response::new(ListFilterFieldsResponse { fields, functions }))
    }
}

fn field(field: &Field) -> FilterField {
    let text = |text: &&str| (*text).to_owned();
    FilterField {
        name: field.name.to_owned(),
        r#type: field.values.type_name().into(),
        operators: field.operators().iter().map(text).collect(),
        example: field.example.to_owned(),
        values: field.values.names().iter().map(text).collect(),
        comment: field.comment.to_owned(),
    }
}

fn function(function: &Function) -> FilterFunction {
    FilterFunction {
        name: function.name.to_owned(),
        signature: function.signature.to_owned(),
        example: function.example.to_owned(),
        comment: function.comment.to_owned(),
    }
}
