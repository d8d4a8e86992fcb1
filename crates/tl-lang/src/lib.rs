
pub mod cel;
