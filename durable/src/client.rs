//! placeholder under construction
pub(crate) fn check_instance_id(_id: &str) -> Result<(), String> { Ok(()) }
