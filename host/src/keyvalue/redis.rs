//! A store on a Redis server, by one connection that all operations of the app share. Its keys begin with a prefix; what is
//! durable is as the server is configured.
//!
//! The connection is made with the first operation, and made anew where it was lost: an operation that finds the server
//! gone fails at once, the next one that finds it there again does not. Nothing is sent twice.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisError, Script, ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

use super::{
    error::Error,
    store::{Page, Pair, check_batch, too_large},
};
use crate::plan::{KeyvalueLimits as Limits, RedisAddress, RedisServer};

/// The values of keys, of which none is longer than the first argument: its length in its place, as a number.
static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local values = {}
         for at, key in ipairs(KEYS) do
             local length = redis.call('STRLEN', key)
             if length > tonumber(ARGV[1]) then values[at] = length else values[at] = redis.call('GET', key) end
         end
         return values",
    )
});

/// Sets a value where the one before is the one that was seen.
static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
         local same
         if ARGV[1] == 'some' then same = now == ARGV[2] else same = not now end
         if same then redis.call('SET', KEYS[1], ARGV[3]) end
         return same and 1 or 0",
    )
});

pub(crate) struct Redis {
    server: RedisServer,
    connection: Mutex<Option<Connected>>,
}

/// A connection and whether it has ended.
#[derive(Clone)]
struct Connected {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Redis {
    pub(super) fn new(server: &RedisServer) -> Self {
        Self { server: server.clone(), connection: Mutex::default() }
    }

    pub(super) async fn get(&self, keys: &[String], limits: &Limits) -> Result<Vec<Option<Vec<u8>>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = GET.prepare_invoke();
        keys.iter().for_each(|key| _ = call.key(self.key(key)));
        call.arg(limits.value_bytes);
        let mut connected = self.connected().await?;
        let values: Vec<redis::Value> =
            self.done(&connected.clone(), call.invoke_async(&mut connected.connection).await)?;
        let mut all = 0;
        let values = values.into_iter().map(|value| match value {
            redis::Value::BulkString(value) => {
                all += value.len();
                Ok(Some(value))
            }
            redis::Value::Int(length) => Err(too_large(usize::try_from(length).unwrap_or(0), limits)),
            _ => Ok(None),
        });
        let values = values.collect::<Result<_, _>>()?;
        if keys.len() > 1 {
            check_batch(all, limits)?;
        }
        Ok(values)
    }

    pub(super) async fn set(&self, pairs: &[Pair]) -> Result<(), Error> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut set = redis::cmd("MSET");
        pairs.iter().for_each(|(key, value)| _ = set.arg(self.key(key)).arg(&**value));
        self.ask(&set).await
    }

    pub(super) async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut delete = redis::cmd("DEL");
        keys.iter().for_each(|key| _ = delete.arg(self.key(key)));
        self.ask(&delete).await
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.ask(redis::cmd("EXISTS").arg(self.key(key))).await
    }

    pub(super) async fn list(&self, after: u64, limits: &Limits) -> Result<Page, Error> {
        let begun = Instant::now();
        let (mut cursor, mut keys) = (after, BTreeSet::new());
        // Where few of the server's keys have the prefix, most of its pages are empty.
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(self.pattern()).arg("COUNT").arg(limits.keys);
            let (next, found): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            let found = found.into_iter().filter_map(|key| self.own(key, limits));
            keys.extend(found);
            cursor = next;
            if cursor == 0 || !keys.is_empty() || begun.elapsed() > limits.wait / 2 {
                return Ok((keys.into_iter().collect(), Some(cursor).filter(|cursor| *cursor != 0)));
            }
        }
    }

    pub(super) async fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.ask(redis::cmd("INCRBY").arg(self.key(key)).arg(delta)).await
    }

    pub(super) async fn swap(&self, key: &str, seen: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
        let mut call = SWAP.key(self.key(key));
        call.arg(if seen.is_some() { "some" } else { "none" }).arg(seen.unwrap_or_default()).arg(value);
        let mut connected = self.connected().await?;
        self.done(&connected.clone(), call.invoke_async(&mut connected.connection).await)
    }

    /// An operation had no answer in time: whether the server is there at all shows with a new connection.
    pub(super) fn distrust(&self) {
        if let Ok(mut current) = self.connection.try_lock() {
            *current = None;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Error> {
        let mut connected = self.connected().await?;
        self.done(&connected.clone(), command.query_async(&mut connected.connection).await)
    }

    /// The connection, made where there is none.
    async fn connected(&self) -> Result<Connected, Error> {
        let mut current = self.connection.lock().await;
        if let Some(connected) = current.as_ref().filter(|connected| !connected.ended.load(Ordering::Acquire))
        {
            return Ok(connected.clone());
        }
        *current = None;
        let connected = self.connect().await.map_err(|error| match self.error(&error) {
            Error::Unfit(said) => Error::Failed(format!("{}: {said}", self.server)),
            other => other,
        })?;
        *current = Some(connected.clone());
        Ok(connected)
    }

    async fn connect(&self) -> Result<Connected, RedisError> {
        let ended = Arc::new(AtomicBool::new(false));
        let tell = ended.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    tell.store(true, Ordering::Release);
                }
                Ok::<(), ()>(())
            });
        let client = Client::open(self.info()?)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connected { connection, ended })
    }

    fn info(&self) -> Result<redis::ConnectionInfo, RedisError> {
        let RedisServer { address, username, password, database, .. } = &self.server;
        let address = match address {
            RedisAddress::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
            RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
        };
        // The end of a connection is told by RESP3 alone.
        let mut settings =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(i64::from(*database));
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password.reveal());
        }
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }

    /// What came of an operation. A connection that is of no use any more is not used again.
    fn done<T>(&self, connected: &Connected, result: Result<T, RedisError>) -> Result<T, Error> {
        result.map_err(|error| {
            if error.is_io_error() || error.is_unrecoverable_error() {
                connected.ended.store(true, Ordering::Release);
            }
            self.error(&error)
        })
    }

    /// What the server said goes to the app where it is about the app's keys, and to the operator alone otherwise.
    fn error(&self, error: &RedisError) -> Error {
        let said = |error: &RedisError| match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_owned(),
            _ => error.to_string(),
        };
        let (server, said) = (&self.server, said(error));
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Error::Denied(format!("{server}: {said}"))
            }
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
                Error::Denied(format!("{server}: {said}"))
            }
            _ if matches!(error.code(), Some("WRONGTYPE" | "ERR")) => Error::Unfit(said),
            _ => Error::Failed(format!("{server}: {said}")),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.server.prefix)
    }

    /// A key of the server without the prefix; none where the app could not name it.
    fn own(&self, key: Vec<u8>, limits: &Limits) -> Option<String> {
        let key = String::from_utf8(key).ok()?;
        let key = key.strip_prefix(&self.server.prefix)?;
        (1..=limits.key_bytes).contains(&key.len()).then(|| key.to_owned())
    }

    /// The pattern of all keys with the prefix, in which nothing but the last star stands for anything else.
    fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.server.prefix.len() + 1);
        for letter in self.server.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        pattern
    }
}
