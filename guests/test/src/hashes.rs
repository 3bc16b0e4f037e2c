//! Hashes passwords by the host, as the target says: `/pbkdf2?hash=&password=&salt=&iterations=&dklen=` or
//! `/scrypt?password=&salt=&n=&r=&p=&maxmem=&dklen=`. What is left out is small.

use crate::{
    bindings::guesthouse::hashing::passwords::{self, Error},
    target::Target,
};

/// The key in hexadecimal, or what the host says instead.
pub fn hash(target: &Target) -> String {
    println!("hashing");
    let text = |name: &str| target.get(name).unwrap_or_default().as_bytes();
    let number = |name: &str, default: u64| target.number(name).unwrap_or(default);
    let small = |name: &str, default| u32::try_from(number(name, default)).expect("a number of 32 bits");
    let (password, salt) = (text("password"), text("salt"));
    let key = if target.path == "/scrypt" {
        let (n, r, p) = (number("n", 2), small("r", 1), small("p", 1));
        passwords::scrypt(password, salt, n, r, p, number("maxmem", 0), small("dklen", 64))
    } else {
        let dklen = target.number("dklen").map(|_| small("dklen", 0));
        let hash = target.get("hash").unwrap_or("sha256");
        passwords::pbkdf2_hmac(hash, password, salt, small("iterations", 1), dklen)
    };
    match key {
        Ok(key) => key.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(Error::UnknownHash) => "unknown hash".into(),
        Err(Error::Invalid(text)) => format!("invalid: {text}"),
        Err(Error::OverMaxmem) => "over maxmem".into(),
        Err(Error::OverMemory(text)) => format!("over memory: {text}"),
        Err(Error::OverTime(text)) => format!("over time: {text}"),
    }
}
