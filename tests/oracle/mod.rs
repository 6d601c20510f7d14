//! Answers about meetings, found by plain code over the JSON of the stories that tell of them: without SQL, without the
//! service's rules, and without its filters.

mod counts;
mod filters;
mod json;
mod people;
mod world;
