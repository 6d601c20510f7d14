pub mod model;
pub mod pb;
pub mod service;
