//! URLs of Redis servers. Nothing of them is shown in a message: what is not encoded as it should be may be a password.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{
    Password, RedisAddress, RedisServer,
    grants::{Wrong, wrong},
};

const FORM_REDIS: &str = "write redis://[user[:password]@]host[:port][/number of the database][?prefix=...]";
const FORM_UNIX: &str = "write redis+unix:///path/of/the/socket[?db=0&user=...&pass=...&prefix=...]";

/// Whether a password stands in a URL as the manifest has it, and not the name of a variable.
pub(super) fn has_password(written: &str) -> bool {
    let query = written.split(['?', '&']).find_map(|pair| pair.strip_prefix("pass="));
    let user = written.split_once("://").and_then(|(_, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (user, _) = rest.rsplit_once('@').or_else(|| rest.get(..end)?.rsplit_once('@'))?;
        user.split_once(':').map(|(_, password)| password)
    });
    let written = |password: &str| !password.is_empty() && !password.contains("${");
    user.is_some_and(written) || query.is_some_and(written)
}

fn parse(written: &str, form: &str) -> Result<Url, Wrong> {
    let url = Url::parse(written).map_err(|error| {
        let hint = "; a user or a password with one of `@ : / ? # %` in it is written percent-encoded";
        let hint = if written.contains('@') { hint } else { "" };
        wrong(format!("this is no URL of a Redis server: {error}"), format!("{form}{hint}"))
    })?;
    if url.fragment().is_some() {
        return Err(wrong("the URL of a Redis server has no `#`", form));
    }
    Ok(url)
}

/// The server of `redis://...`; `own` is the prefix of keys where none is named.
pub(super) fn server(written: &str, own: &str) -> Result<RedisServer, Wrong> {
    let url = parse(written, FORM_REDIS)?;
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) if !host.to_string().is_empty() => host.to_string(),
        _ => return Err(wrong("the URL names no host", FORM_REDIS)),
    };
    let port = url.port().unwrap_or(6379);
    if port == 0 {
        return Err(wrong("a server has no port 0", FORM_REDIS));
    }
    let database = number(url.path().trim_start_matches('/'), FORM_REDIS)?;
    let [prefix] = parameters(&url, ["prefix"], FORM_REDIS)?;
    let username = (!url.username().is_empty()).then(|| decoded(url.username())).transpose()?;
    let password = url.password().map(decoded).transpose()?;
    Ok(RedisServer {
        address: RedisAddress::Tcp { host, port },
        username,
        password: password.filter(|password| !password.is_empty()).map(Password),
        database,
        prefix: prefix.unwrap_or_else(|| own.to_owned()),
    })
}

/// The server of `redis+unix:///...`, with the parameters that other clients know, too.
pub(super) fn local_server(written: &str, own: &str) -> Result<RedisServer, Wrong> {
    let url = parse(written, FORM_UNIX)?;
    let path = decoded(url.path())?;
    if url.host().is_some_and(|host| !host.to_string().is_empty()) || !path.starts_with('/') || path.len() < 2
    {
        return Err(wrong("the URL names no absolute path of a socket", FORM_UNIX));
    }
    let [database, username, password, prefix] =
        parameters(&url, ["db", "user", "pass", "prefix"], FORM_UNIX)?;
    Ok(RedisServer {
        address: RedisAddress::Unix(path.into()),
        username,
        password: password.filter(|password| !password.is_empty()).map(Password),
        database: number(&database.unwrap_or_default(), FORM_UNIX)?,
        prefix: prefix.unwrap_or_else(|| own.to_owned()),
    })
}

/// The number of a database; 0 where there is none. It is not shown: a password that is not encoded may have come here.
fn number(text: &str, form: &str) -> Result<u32, Wrong> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| wrong("the URL names no number of a database", form))
}

/// What stands after the `?`, by these names and no others.
fn parameters<const N: usize>(url: &Url, names: [&str; N], form: &str) -> Result<[Option<String>; N], Wrong> {
    let mut found = [const { None }; N];
    for (name, value) in url.query_pairs() {
        let place = names.iter().zip(&mut found).find(|(known, _)| **known == name);
        let Some((known, place)) = place else {
            let known = names.map(|name| format!("`{name}`")).join(", ");
            let message = format!("after the `?` of this URL stands something else than {known}");
            return Err(wrong(message, form));
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(wrong(format!("`{known}` stands twice in the URL"), "remove one of them"));
        }
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, Wrong> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| wrong("the URL is no UTF-8 where it is decoded", FORM_REDIS))
}
