//! A canary: a new generation that serves a part of an app's clients, each of whom stays with the generation that it was
//! led to first.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::{
    generation::Generation,
    house::Tenant,
    reload::change::{CanaryShare, Sticky},
};

/// Clients are divided by ten-thousandths.
const PARTS: u64 = 10_000;

/// A generation with its part of the clients.
#[derive(Clone)]
pub struct Canary {
    pub generation: Arc<Generation>,
    pub share: CanaryShare,
}

/// Who serves a request, and what the client is to remember.
pub struct Choice {
    pub generation: Arc<Generation>,
    pub cookie: Option<HeaderValue>,
}

impl Tenant {
    /// The generation for a client.
    pub fn choose(&self, client: Option<IpAddr>, headers: &HeaderMap) -> Choice {
        match &self.canary {
            None => Choice { generation: self.serving.clone(), cookie: None },
            Some(canary) => match canary.share.sticky {
                Sticky::Address => self.pick(canary, canary.takes(by_address(canary, client)), None),
                Sticky::Cookie => {
                    let name = format!("guesthouse-{}", self.serving.app);
                    let number = canary.generation.number;
                    match remembered(headers, &name, number) {
                        Some(taken) => self.pick(canary, taken, None),
                        None => {
                            let taken = canary.takes(at_random());
                            let value = format!(
                                "{name}={number}-{}; Path=/; HttpOnly; SameSite=Lax",
                                if taken { "new" } else { "old" }
                            );
                            self.pick(canary, taken, HeaderValue::try_from(value).ok())
                        }
                    }
                }
            },
        }
    }

    fn pick(&self, canary: &Canary, taken: bool, cookie: Option<HeaderValue>) -> Choice {
        let generation = if taken { &canary.generation } else { &self.serving };
        Choice { generation: generation.clone(), cookie }
    }
}

impl Canary {
    /// Whether a client of this part belongs to the canary.
    fn takes(&self, part: u64) -> bool {
        (part as f64) < self.share.percent / 100.0 * PARTS as f64
    }
}

/// A client's part by its address. Each canary divides them anew.
fn by_address(canary: &Canary, client: Option<IpAddr>) -> u64 {
    let mut digest = Sha256::new();
    digest.update(canary.generation.app.as_bytes());
    digest.update(canary.generation.number.to_le_bytes());
    digest.update(client.map(|client| client.to_string()).unwrap_or_default());
    let first = digest.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    first % PARTS
}

fn at_random() -> u64 {
    // Where the system has no random numbers, everybody stays with what serves.
    getrandom::u64().map_or(PARTS, |number| number % PARTS)
}

/// What the client's cookie says of the canary with this number: whether the client belongs to it.
fn remembered(headers: &HeaderMap, name: &str, number: u64) -> Option<bool> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let value = cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))?;
    match value.split_once('-')? {
        (of, side) if of.parse() == Ok(number) => Some(side == "new"),
        _ => None,
    }
}
