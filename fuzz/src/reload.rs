#[path = "../../host/src/reload/change.rs"]
pub mod change;
