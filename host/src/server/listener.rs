//! One listening socket, TCP or Unix.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::plan::ListenAddr;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

pub(super) enum Listener {
    Tcp { socket: TcpListener, address: SocketAddr },
    Unix { socket: UnixListener, path: PathBuf },
}

pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn bind(address: &ListenAddr) -> Result<Self> {
        match address {
            ListenAddr::Tcp(address) => {
                let socket = tcp(*address).with_context(|| mend(*address))?;
                let address = socket.local_addr()?;
                Ok(Self::Tcp { socket, address })
            }
            ListenAddr::Unix(path) => {
                let socket =
                    unix(path).await.with_context(|| format!("listening on unix:{}", path.display()))?;
                Ok(Self::Unix { socket, path: path.clone() })
            }
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Tcp { address, .. } => format!("http://{address}"),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp { socket, .. } => {
                let (stream, peer) = socket.accept().await?;
                // Small writes of a streaming guest are to go out at once; where that cannot be had, they go out later.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix { socket, .. } => Ok(Accepted::Unix(socket.accept().await?.0)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // A socket file that is gone already is as it should be.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restarted house takes its port back although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn mend(address: SocketAddr) -> String {
    format!("listening on {address} (is another server there? `--listen 127.0.0.1:0` takes any free port)")
}

/// Binds a Unix socket for this user and group, taking the place of one that nobody listens on any more.
async fn unix(path: &Path) -> Result<UnixListener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        anyhow::ensure!(meta.file_type().is_socket(), "there is a file of this name that is no socket");
        anyhow::ensure!(UnixStream::connect(path).await.is_err(), "another server listens there");
        std::fs::remove_file(path)?;
    }
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(socket)
}
