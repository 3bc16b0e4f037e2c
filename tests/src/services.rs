//! Real servers of Debian that apps use: PostgreSQL and Redis, each in a temporary folder of its own, until it is dropped.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// A PostgreSQL server on a port of 127.0.0.1, which wants the password `secret` of its user `shop` by scram-sha-256.
pub struct Postgres {
    child: Child,
    pub port: u16,
    binaries: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// # Panics
    ///
    /// Where it is not installed, or does not start.
    pub fn start() -> Postgres {
        let versions = fs::read_dir("/usr/lib/postgresql").expect("apt-get install postgresql");
        let latest =
            versions.map(|entry| entry.expect("an entry").path()).max().expect("a version of PostgreSQL");
        let binaries = latest.join("bin");
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, "secret\n").expect("the password");
        // It does not run as root.
        let owner = geteuid().is_root().then(|| (id("-u"), id("-g")));
        if let Some((user, group)) = owner {
            for path in [folder.path(), &password] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).expect("its folder is its own");
            }
        }
        let as_owner = |command: &mut Command| {
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir("/").env("LC_ALL", "C.UTF-8");
        };
        let mut initdb = Command::new(binaries.join("initdb"));
        as_owner(&mut initdb);
        initdb
            .args(["-U", "shop", "-A", "scram-sha-256", "--no-sync", "-D"])
            .arg(&data)
            .arg("--pwfile")
            .arg(&password);
        let made = initdb.output().expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let mut server = Command::new(binaries.join("postgres"));
        as_owner(&mut server);
        server
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(folder.path());
        let mut child = server.stderr(Stdio::piped()).spawn().expect("PostgreSQL starts");
        wait_for(child.stderr.take().expect("a pipe"), "ready to accept connections");
        Postgres { child, port, binaries, folder }
    }

    /// Runs a statement by `psql`: what it prints.
    ///
    /// # Panics
    ///
    /// Where it fails.
    pub fn query(&self, statement: &str) -> String {
        let output = Command::new(self.binaries.join("psql"))
            .args(["-X", "-A", "-t", "-U", "shop", "-p", &self.port.to_string(), "-c", statement, "-h"])
            .arg(self.folder.path())
            .arg("postgres")
            .env("PGPASSWORD", "secret")
            .output()
            .expect("psql starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its processes end with it; as they are killed, nothing is written any more.
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// A Redis server on a port of 127.0.0.1.
pub struct RedisOnPort {
    child: Child,
    pub port: u16,
    _folder: TempDir,
}

impl RedisOnPort {
    /// # Panics
    ///
    /// Where it is not installed, or does not start.
    pub fn start() -> RedisOnPort {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("apt-get install redis-server");
        wait_for(child.stdout.take().expect("a pipe"), "Ready to accept connections");
        RedisOnPort { child, port, _folder: folder }
    }
}

impl Drop for RedisOnPort {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What SQLite itself says of a database that something else has written: `ok`. By Python's module.
///
/// # Panics
///
/// Where it cannot be opened.
pub fn sqlite_integrity(database: &Path) -> String {
    sqlite(database, "print(db.execute('PRAGMA integrity_check').fetchone()[0])")
}

/// Runs Python code with the database open as `db`: what it prints.
///
/// # Panics
///
/// Where it fails.
pub fn sqlite(database: &Path, code: &str) -> String {
    let code = format!("import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=30)\n{code}");
    let output = Command::new("python3").args(["-c", &code]).arg(database).output().expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn id(what: &str) -> u32 {
    let output = Command::new("id").args([what, "postgres"]).output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("Debian's user postgres")
}

/// Waits for a line, and reads on so that the server is never kept waiting.
fn wait_for(pipe: impl std::io::Read + Send + 'static, text: &str) {
    let mut lines = BufReader::new(pipe).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let line = line.expect("a line");
        if line.contains(text) {
            thread::spawn(move || lines.for_each(drop));
            return;
        }
        seen.push(line);
    }
    panic!("the server ended: {}", seen.join("\n"));
}
