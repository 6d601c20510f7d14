//! Oracle: answers about meetings, computed by plain code from the JSON of their stories, without SQL and without the
//! rules and filters of the service.

mod counts;
mod filters;
mod json;
mod people;
mod world;
