//! Why an operation on a store was not done: for the guest in words that give nothing of the host away, for the operator in
//! full.

/// Why an operation on a store was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// It is not what the store can do: a value that is no number, a cursor that is none.
    #[error("{0}")]
    Unfit(String),
    /// A limit of the app.
    #[error("{0}")]
    Limit(String),
    /// The server does not let the house in, or not to this.
    #[error("the store does not let the app in")]
    Denied(String),
    /// The store did not do its part. What is said of it is the operator's to know.
    #[error("the store cannot be reached or used")]
    Failed(String),
    /// It took longer than it may.
    #[error("the store did not answer in time")]
    Late(String),
}

impl Error {
    /// What the operator should know, where it is no matter of the guest alone.
    pub(crate) fn detail(&self) -> Option<&str> {
        match self {
            Self::Unfit(_) => None,
            Self::Limit(detail) | Self::Denied(detail) | Self::Failed(detail) | Self::Late(detail) => {
                Some(detail)
            }
        }
    }
}

/// The number that a value is, as all stores write it: decimal digits.
pub(super) fn number(value: &[u8]) -> Result<i64, Error> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Unfit("the value is no decimal number of 64 bits".into()))
}

/// The sum, where it is a number of 64 bits.
pub(super) fn sum(value: i64, delta: i64) -> Result<i64, Error> {
    value.checked_add(delta).ok_or_else(|| Error::Unfit("the sum is no number of 64 bits".into()))
}
