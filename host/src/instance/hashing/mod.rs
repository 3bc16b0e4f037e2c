//! Hashing of passwords for guests: the host's side of `guesthouse:hashing`.
//!
//! What it costs is bounded before it begins where it cannot be interrupted, and counted as the guest's own computing.
//! PBKDF2 is done in the guest's own turns: it gives way whenever the guest would, and goes on where guests do that compute
//! ([`lane`](super::lane)). scrypt is one piece of work, which a library does: it has a lane of its own, so that no guest waits
//! in line behind it. The algorithms are those of `ring` and `scrypt`; what is wanted of them is checked here.

mod pace;
mod pbkdf2;

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use scrypt::Params;
use tokio::sync::oneshot;
use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use self::pace::Pace;
use super::{
    control::{Control, micros},
    guest::Template,
};
use crate::bindings::passwords::{self, Error};

/// Bytes that a password or a salt may have: hashing it once takes about a millisecond.
const TEXT_MAX_BYTES: usize = 1 << 20;
/// What `maxmem` is where it is 0 (OpenSSL, `crypto/evp/pbe_scrypt.c`).
const MAXMEM_BYTES: u64 = 32 << 20;
/// The most of n · r · p that scrypt may have: about a second of a core.
const SCRYPT_WORK_MAX: u64 = 1 << 22;
/// So much of it counts as a microsecond of computing, whatever the machine takes for it.
const SCRYPT_WORK_PER_US: u64 = 4;

/// The data of a store whose guest hashes.
pub(crate) trait HashingView: Send {
    fn hashing(&mut self) -> Hashing;
}

struct HasHashing;

impl HasData for HasHashing {
    type Data<'a> = Hashing;
}

/// Whom a hash is made for, for one call.
pub(crate) struct Hashing {
    /// Bytes that the guest may still take of memory.
    left: usize,
    /// None while an image is taken, in a process that does nothing else.
    instance: Option<Instance>,
}

struct Instance {
    template: Arc<Template>,
    control: Arc<Control>,
}

/// Memory that the host takes for a guest, counted with that of the app's instances until it is dropped.
struct Loan {
    template: Arc<Template>,
    bytes: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.template.stats.memory.give_back(self.bytes);
    }
}

/// Adds `guesthouse:hashing` to the linker.
pub(crate) fn add_to_linker<T: HashingView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    passwords::add_to_linker::<T, HasHashing>(linker, T::hashing)
}

impl passwords::Host for Hashing {
    async fn pbkdf2_hmac(
        &mut self,
        hash_name: String,
        password: Vec<u8>,
        salt: Vec<u8>,
        iterations: u32,
        dklen: Option<u32>,
    ) -> Result<Result<Vec<u8>, Error>> {
        let Some(hash) = pbkdf2::Hash::named(&hash_name) else { return Ok(Err(Error::UnknownHash)) };
        let length = match dklen {
            Some(length) => size(length.into()),
            None => hash.output_bytes(),
        };
        if let Err(error) = self.check(&password, &salt, length) {
            return Ok(Err(error));
        }
        if iterations == 0 {
            return Ok(Err(Error::Invalid("iteration value must be greater than 0.".into())));
        }
        let mut pace = self.pace();
        pace.give_way().await?;
        Ok(Ok(hash.derive(&mut pace, &password, &salt, iterations, length).await?))
    }

    async fn scrypt(
        &mut self,
        password: Vec<u8>,
        salt: Vec<u8>,
        n: u64,
        r: u32,
        p: u32,
        maxmem: u64,
        dklen: u32,
    ) -> Result<Result<Vec<u8>, Error>> {
        let length = size(dklen.into());
        let asked = self.check(&password, &salt, length).and_then(|()| Asked::new(n, r, p, maxmem));
        let asked = match asked.and_then(|asked| self.within_limits(asked, length)) {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error)),
        };
        let Some(Instance { template, control }) = &self.instance else {
            return Ok(asked.derive(&password, &salt, length));
        };
        let Some(loan) = lend(template, asked.bytes) else {
            let limit = template.limits.app_memory_bytes >> 20;
            let text =
                format!("the app's instances have all of the {limit} MiB that they may (app-memory-mib)");
            return Ok(Err(Error::OverMemory(text)));
        };
        let time = asked.time();
        let (tell, told) = oneshot::channel();
        template.engine.hashing.spawn(&template.app, async move {
            // Nobody waits any more for what had to wait for its turn.
            if !tell.is_closed() {
                let made = asked.derive(&password, &salt, length);
                drop(loan);
                // As above.
                let _ = tell.send(made);
            }
        });
        let mut told = pin!(told);
        let told = poll_fn(|cx| {
            let told = told.as_mut().poll(cx);
            if told.is_pending() {
                control.has_it_computed();
            }
            told
        });
        let made = told.await.map_err(|_| wasmtime::Error::msg("the host could not hash"))?;
        control.charge(time);
        self.pace().check()?;
        Ok(made)
    }
}

impl Hashing {
    pub(super) fn of(left: usize, template: Arc<Template>, control: Arc<Control>) -> Self {
        Self { left, instance: Some(Instance { template, control }) }
    }

    /// For a guest of which an image is taken.
    pub(crate) fn alone(left: usize) -> Self {
        Self { left, instance: None }
    }

    fn pace(&self) -> Pace {
        let instance = self.instance.as_ref();
        Pace::new(instance.map(|Instance { template, control }| (control.clone(), template.limits.cpu)))
    }

    fn check(&self, password: &[u8], salt: &[u8], length: usize) -> Result<(), Error> {
        for (name, text) in [("password", password), ("salt", salt)] {
            if text.len() > TEXT_MAX_BYTES {
                let most = TEXT_MAX_BYTES >> 20;
                return Err(Error::Invalid(format!("{name} is too long: this host takes {most} MiB")));
            }
        }
        if length == 0 {
            return Err(Error::Invalid("key length must be greater than 0.".into()));
        }
        self.fits(length)
    }

    fn within_limits(&self, asked: Asked, length: usize) -> Result<Asked, Error> {
        self.fits(asked.bytes.saturating_add(length))?;
        let of_cpu = self.instance.as_ref().map_or(u64::MAX, |instance| {
            micros(instance.template.limits.cpu).saturating_mul(SCRYPT_WORK_PER_US)
        });
        let most = of_cpu.min(SCRYPT_WORK_MAX);
        if asked.work > most {
            let text =
                format!("n * r * p is {}, and this host computes at most {most} (by cpu-ms)", asked.work);
            return Err(Error::OverTime(text));
        }
        Ok(asked)
    }

    fn fits(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.left {
            let (wanted, left) = (bytes.div_ceil(1 << 20), self.left >> 20);
            let text = format!("it takes {wanted} MiB of memory, and of memory-mib {left} MiB are left");
            return Err(Error::OverMemory(text));
        }
        Ok(())
    }
}

/// scrypt as it was asked for, checked.
struct Asked {
    params: Params,
    /// Memory that it takes.
    bytes: usize,
    /// n · r · p, to which the time is proportional.
    work: u64,
}

impl Asked {
    /// Checks what OpenSSL checks, with its limits.
    fn new(n: u64, r: u32, p: u32, maxmem: u64) -> Result<Self, Error> {
        let invalid = || Error::Invalid("Invalid parameter combination for n, r, p, maxmem.".into());
        if n < 2 || !n.is_power_of_two() {
            return Err(Error::Invalid("n must be a power of 2.".into()));
        }
        let log_n = u8::try_from(n.ilog2()).map_err(|_| invalid())?;
        let params = Params::new(log_n, r, p).map_err(|_| invalid())?;
        let bytes = n
            .checked_add(u64::from(p) + 2)
            .and_then(|blocks| blocks.checked_mul(128 * u64::from(r)))
            .ok_or(Error::OverMaxmem)?;
        let work = n.saturating_mul(u64::from(r)).saturating_mul(p.into());
        if bytes > if maxmem == 0 { MAXMEM_BYTES } else { maxmem } {
            return Err(Error::OverMaxmem);
        }
        Ok(Self { params, bytes: size(bytes), work })
    }

    /// What it is charged for.
    fn time(&self) -> Duration {
        Duration::from_micros(self.work / SCRYPT_WORK_PER_US)
    }

    fn derive(&self, password: &[u8], salt: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        let mut key = vec![0; length];
        match scrypt::scrypt(password, salt, &self.params, &mut key) {
            Ok(()) => Ok(key),
            Err(error) => Err(Error::Invalid(error.to_string())),
        }
    }
}

fn lend(template: &Arc<Template>, bytes: usize) -> Option<Loan> {
    let taken = template.stats.memory.take(bytes, template.limits.app_memory_bytes);
    taken.then(|| Loan { template: template.clone(), bytes })
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
