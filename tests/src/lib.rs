//! The harness of the tests: builds the guests, starts the real `guesthouse` binary on a port of its own, and talks to
//! it over real sockets with a client that shares no code with the host. It knows nothing of the host's insides: what
//! it learns, it learns from sockets, log lines, exit codes and `/proc`.

mod admin;
mod attack;
mod bad_clients;
mod binary;
mod browser;
mod cli;
mod client;
mod exec;
mod guests;
mod held;
mod house;
mod kills;
mod load;
mod log;
mod machine;
mod manifest;
mod memory;
mod mounts;
mod names;
mod planted;
mod random;
mod redis;
mod servers;
mod services;
mod steady;
mod stores;
mod swapping;
mod tools;
mod version;

pub use admin::{Admin, Reply};
pub use attack::{Attack, Attacking, Outcomes, Silent, Strength};
pub use bad_clients::{BadClient, Door, End, Seen, all as bad_clients};
pub use binary::{build_house, guesthouse, profile};
pub use browser::Browser;
pub use cli::{Outcome, run};
pub use client::{Broken, Connection, Head, Request, Response};
pub use exec::{exec, exec_at_terminal, exec_with};
pub use guests::{component, python_component};
pub use held::Held;
pub use house::{House, SharedHouse, Stopped};
pub use kills::{Killed, kill_while_swapping};
pub use load::{Check, Client, Load, Served, Times};
pub use log::{Entry, Log};
pub use machine::{Cores, cores};
pub use manifest::Manifest;
pub use memory::Memory;
pub use mounts::{Mounted, read_only, small_disk};
pub use names::Names;
pub use planted::{Planted, is_below};
pub use random::Random;
pub use redis::Redis;
pub use servers::{Script, certificate, greeter, http_server, server, server_at};
pub use services::{Postgres, RedisOnPort, sqlite, sqlite_integrity};
pub use steady::{Measured, Steady};
pub use swapping::{Swapper, Swapping, growth};
pub use tools::tool;
pub use version::{Floor, Version};

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// How long any single wait of a test may take before the test fails. Far above what is ever needed, so that a slow
/// machine fails nothing; far below for ever, so that a hang is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where bad clients come from: an address of their own, so that to the house their neighbours' are others.
pub(crate) const BAD_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
