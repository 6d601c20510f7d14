pub mod cross_field;
pub mod rules;
pub mod dates {
    pub fn check_date(_: &crate::pb::Date) -> Result<(), &'static str> {
        Ok(())
    }
}
