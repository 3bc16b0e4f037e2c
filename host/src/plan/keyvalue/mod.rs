//! Key-value stores of an app: which it may open, by the names that it opens them with ([`grants`]), and what it may do with
//! them. Passwords are never shown, neither here nor by anything that is made of this.

mod grants;
mod redis;

use std::{
    fmt::{self, Display},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::limits::Layered;
use crate::manifest::{self, defaults};

/// One store that is granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyvalue {
    /// In the memory of the process.
    Memory,
    /// An SQLite file (absolute).
    Sqlite(PathBuf),
    Redis(RedisServer),
}

/// A Redis server, and which of its keys are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RedisServer {
    pub address: RedisAddress,
    pub username: Option<String>,
    pub password: Option<Password>,
    /// The number of its database.
    pub database: u32,
    /// What all keys begin with; the app does not see it.
    pub prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisAddress {
    Tcp {
        host: String,
        port: u16,
    },
    /// A Unix socket (absolute).
    Unix(PathBuf),
}

/// A password, which nothing shows.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// For the server alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Display for Keyvalue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Redis(server) => write!(f, "{server} prefix={}", server.prefix),
        }
    }
}

/// Without the password, and without the prefix.
impl Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.username.iter().map(|name| format!("{name}@")).collect::<String>();
        let database = self.database;
        match &self.address {
            RedisAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "redis://{user}[{host}]:{port}/{database}")
            }
            RedisAddress::Tcp { host, port } => write!(f, "redis://{user}{host}:{port}/{database}"),
            RedisAddress::Unix(path) => write!(f, "redis+unix://{user}{}?db={database}", path.display()),
        }
    }
}

/// `[apps.NAME.limits]` `keyvalue-*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyvalueLimits {
    /// `keyvalue-value-kib` (default 1 024): bytes of one value.
    pub value_bytes: usize,
    /// `keyvalue-key-bytes` (default 1 024): bytes of one key.
    pub key_bytes: usize,
    /// `keyvalue-keys` (default 1 000): keys of one operation, and of one page of a list.
    pub keys: usize,
    /// `keyvalue-batch-kib` (default 4 096): bytes of all values of one operation.
    pub batch_bytes: usize,
    /// `keyvalue-memory-mib` (default 64): bytes of one store in memory.
    pub memory_bytes: u64,
    /// `keyvalue-file-mib` (default 1 024): bytes of one SQLite file.
    pub file_bytes: u64,
    /// `keyvalue-waiting` (default 64): operations at once, over all instances and stores.
    pub waiting: usize,
    /// `keyvalue-ms` (default 5 000): how long one operation may take.
    pub wait: Duration,
}

impl Default for KeyvalueLimits {
    fn default() -> Self {
        Layered { own: None, base: None }.keyvalue()
    }
}

impl Layered<'_, manifest::Limits> {
    pub(super) fn keyvalue(&self) -> KeyvalueLimits {
        const KIB: usize = 1024;
        const MIB: u64 = 1024 * 1024;
        KeyvalueLimits {
            value_bytes: self.size(|table| table.keyvalue_value_kib.as_ref(), defaults::KEYVALUE_VALUE_KIB)
                * KIB,
            key_bytes: self.size(|table| table.keyvalue_key_bytes.as_ref(), defaults::KEYVALUE_KEY_BYTES),
            keys: self.size(|table| table.keyvalue_keys.as_ref(), defaults::KEYVALUE_KEYS),
            batch_bytes: self.size(|table| table.keyvalue_batch_kib.as_ref(), defaults::KEYVALUE_BATCH_KIB)
                * KIB,
            memory_bytes: self
                .number(|table| table.keyvalue_memory_mib.as_ref(), defaults::KEYVALUE_MEMORY_MIB)
                * MIB,
            file_bytes: self.number(|table| table.keyvalue_file_mib.as_ref(), defaults::KEYVALUE_FILE_MIB)
                * MIB,
            waiting: self.size(|table| table.keyvalue_waiting.as_ref(), defaults::KEYVALUE_WAITING),
            wait: self.millis(|table| table.keyvalue_ms.as_ref(), defaults::KEYVALUE_MS),
        }
    }
}
