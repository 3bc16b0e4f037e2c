//! Bytes as a component file, up to compiled code: the same that the compiling child process does.

use std::{cell::OnceCell, fs};

use guesthouse::engine::{cache::ComponentDigest, compile};

/// Larger ones are compiled the same way, only for longer.
const BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// Whatever the bytes are, they are compiled or refused with a reason that names the file.
pub fn component(bytes: &[u8]) {
    if bytes.len() > BYTES_MAX {
        return;
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        let (file, compiled) = (folder.path().join("app.wasm"), folder.path().join("app.cwasm"));
        fs::write(&file, bytes).expect("a file");
        let _ = fs::remove_file(&compiled);
        let digest = ComponentDigest::of_bytes(bytes).to_string();
        match compile::run_child(&file, "the-file.wasm", &digest, &compiled) {
            Ok(()) => assert!(compiled.is_file()),
            Err(error) => {
                assert!(format!("{error:#}").contains("the-file.wasm"), "{error:#}");
                assert!(!compiled.exists(), "what was refused was written all the same");
            }
        }
        let other = ComponentDigest::of_bytes(b"another").to_string();
        assert!(compile::run_child(&file, "the-file.wasm", &other, &compiled).is_err());
    });
}
