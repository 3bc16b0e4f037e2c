//! A real Redis server, on a Unix socket in a folder of its own: started, killed and started again by a test.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Log, tool};

/// A Redis server. Dropped, it is killed.
pub struct Redis {
    folder: TempDir,
    password: Option<String>,
    running: Option<(Child, JoinHandle<()>)>,
}

impl Redis {
    /// A server that is not started yet.
    ///
    /// # Panics
    ///
    /// Where there is no place for it.
    pub fn new() -> Redis {
        Redis { folder: tempfile::tempdir().expect("a folder for Redis"), password: None, running: None }
    }

    /// A server that accepts connections.
    ///
    /// # Panics
    ///
    /// Where `redis-server` cannot be started.
    pub fn start() -> Redis {
        let mut redis = Redis::new();
        redis.begin();
        redis
    }

    /// The same, for those alone that know the password.
    ///
    /// # Panics
    ///
    /// Where `redis-server` cannot be started.
    pub fn start_with_password(password: &str) -> Redis {
        let mut redis = Redis::new();
        redis.password = Some(password.to_owned());
        redis.begin();
        redis
    }

    /// Starts it, with what it had written before, and waits until it accepts.
    ///
    /// # Panics
    ///
    /// Where `redis-server` cannot be started.
    pub fn begin(&mut self) {
        let mut command = tool("redis-server", "redis-server");
        command.args(["--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--unixsocket"]);
        command.arg(self.socket()).arg("--dir").arg(self.folder.path());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("redis-server");
        let (log, reader) = Log::collect(child.stdout.take().expect("a pipe"));
        log.wait_for("Redis", |entry| entry.message().contains("eady to accept connections"));
        self.running = Some((child, reader));
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// As a manifest names it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// What `redis-cli` says.
    ///
    /// # Panics
    ///
    /// Where it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").arg("-s").arg(self.socket()).args(arguments).output();
        let output = output.expect("redis-cli");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// Has it do nothing any more, and go on.
    ///
    /// # Panics
    ///
    /// Where it does not run.
    pub fn pause(&self, paused: bool) {
        let (child, _) = self.running.as_ref().expect("a server that runs");
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(child), signal).expect("the signal is sent");
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        let Some((mut child, reader)) = self.running.take() else { return };
        // Both fail where it has ended already.
        let _ = child.kill();
        let _ = child.wait();
        let _ = reader.join();
    }
}

impl Default for Redis {
    fn default() -> Redis {
        Redis::new()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
