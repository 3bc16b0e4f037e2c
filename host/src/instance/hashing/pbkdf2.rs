//! PBKDF2 (RFC 8018, section 5.2) in steps between which others have their turns. `ring` has it in one piece.

use ring::hmac::{self, Algorithm};
use wasmtime::Result;

use super::pace::Pace;

/// Iterations in one step: some 50 us.
const STEP: u32 = 256;

/// A hash that HMAC is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(Algorithm);

impl Hash {
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        // As OpenSSL names them, too: `SHA2-256`.
        let size = ["sha2-", "sha-", "sha"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
        Some(Self(match size {
            "1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "256" => hmac::HMAC_SHA256,
            "384" => hmac::HMAC_SHA384,
            "512" => hmac::HMAC_SHA512,
            _ => return None,
        }))
    }

    pub(super) fn output_bytes(self) -> usize {
        self.0.digest_algorithm().output_len()
    }

    /// A key of so many bytes.
    ///
    /// # Errors
    /// When the guest's computing time is over.
    pub(super) async fn derive(
        self,
        pace: &mut Pace,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        length: usize,
    ) -> Result<Vec<u8>> {
        let keyed = hmac::Key::new(self.0, password);
        let mut key = Vec::with_capacity(length);
        let mut number = 0_u32;
        while key.len() < length {
            number += 1;
            let mut first = hmac::Context::with_key(&keyed);
            first.update(salt);
            first.update(&number.to_be_bytes());
            let mut last = first.sign();
            let mut block = last.as_ref().to_vec();
            let mut done = 1;
            while done < iterations {
                pace.step().await?;
                let step = STEP.min(iterations - done);
                for _ in 0..step {
                    last = hmac::sign(&keyed, last.as_ref());
                    block.iter_mut().zip(last.as_ref()).for_each(|(sum, byte)| *sum ^= byte);
                }
                done += step;
            }
            pace.step().await?;
            block.truncate(length - key.len());
            key.append(&mut block);
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime;

    use super::*;

    fn key(hash: &str, password: &[u8], salt: &[u8], iterations: u32, length: usize) -> String {
        let hash = Hash::named(hash).unwrap();
        let mut pace = Pace::new(None);
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        hex::encode(runtime.block_on(hash.derive(&mut pace, password, salt, iterations, length)).unwrap())
    }

    /// RFC 6070 and RFC 7914, section 11.
    #[test]
    fn keys_are_those_of_the_standards() {
        assert_eq!(key("sha1", b"password", b"salt", 1, 20), "0c60c80f961f0e71f3a9b524af6012062fe037a6");
        assert_eq!(key("SHA1", b"password", b"salt", 4096, 20), "4b007901b765489abead49d926f721d065a429c1");
        let long = b"passwordPASSWORDpassword";
        let salt = b"saltSALTsaltSALTsaltSALTsaltSALTsalt";
        assert_eq!(key("sha-1", long, salt, 4096, 25), "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038");
        assert_eq!(key("sha1", b"pass\0word", b"sa\0lt", 4096, 16), "56fa6aa75548099dcc37d7f03425e0c3");
        assert_eq!(
            key("sha2-256", b"passwd", b"salt", 1, 64),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef3\
             17c71b845b1e30bd509112041d3a19783"
        );
    }

    #[test]
    fn names() {
        for (name, bytes) in [("SHA-512", 64), ("sha2-384", 48), ("Sha256", 32), ("SHA1", 20)] {
            assert_eq!(Hash::named(name).unwrap().output_bytes(), bytes, "{name}");
        }
        for name in ["", "256", "sha", "sha3_256", "sha512_256", "md5", "sha1\0"] {
            assert!(Hash::named(name).is_none(), "{name}");
        }
    }
}
