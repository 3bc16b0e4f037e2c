//! One listening socket, TCP or Unix, of the front door or of the admin interface.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};

use crate::plan::ListenAddr;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Who may connect to a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// This user and group.
    Group,
    /// This user alone, from the socket's first moment. Its folder is made, as private, if it is not there.
    Owner,
}

pub(crate) enum Listener {
    Tcp {
        socket: TcpListener,
        address: SocketAddr,
    },
    Unix {
        socket: UnixListener,
        path: PathBuf,
        /// Device and inode of the socket's file: one of the same name that is another's is not ours to remove.
        file: Option<(u64, u64)>,
    },
}

pub(crate) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// # Errors
    /// What stands in the way at this address.
    pub(crate) async fn bind(address: &ListenAddr, access: Access) -> Result<Self> {
        match address {
            ListenAddr::Tcp(address) => {
                let socket = tcp(*address).with_context(|| mend(*address))?;
                let address = socket.local_addr()?;
                Ok(Self::Tcp { socket, address })
            }
            ListenAddr::Unix(path) => {
                let bound = unix(path, access).await;
                let socket = bound.with_context(|| format!("listening on unix:{}", path.display()))?;
                Ok(Self::Unix { socket, path: path.clone(), file: identity(path) })
            }
        }
    }

    /// `http://127.0.0.1:8000` or `unix:/run/x.sock`, port 0 resolved.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp { address, .. } => format!("http://{address}"),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
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
        if let Self::Unix { path, file, .. } = self
            && file.is_some()
            && identity(path) == *file
        {
            // A socket file that is gone already is as it should be.
            let _ = fs::remove_file(path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted house takes its port back although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn mend(address: SocketAddr) -> String {
    let free = SocketAddr::new(address.ip(), 0);
    format!("listening on {address} (is another server there? {free} takes any free port)")
}

/// Binds a Unix socket, taking the place of one that nobody listens on any more.
async fn unix(path: &Path, access: Access) -> Result<UnixListener> {
    if let Some(folder) = path.parent().filter(|folder| access == Access::Owner && !folder.exists()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("making the folder {}", folder.display()))?;
    }
    if let Ok(meta) = fs::symlink_metadata(path) {
        ensure!(meta.file_type().is_socket(), "there is a file of this name that is no socket");
        match UnixStream::connect(path).await {
            Ok(_) => {
                bail!("another server listens there (one that ends, maybe): stop it, or name another socket")
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error).context("there is a socket that does not answer"),
        }
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Until it listens every connection is refused, so that nobody comes in before the mode is set.
    let mode = match access {
        Access::Group => 0o660,
        Access::Owner => 0o600,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(socket.listen(BACKLOG)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_unix_socket_is_private_and_takes_the_place_of_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/below/admin.sock");
        let address = ListenAddr::Unix(path.clone());
        let first = Listener::bind(&address, Access::Owner).await.unwrap();
        assert_eq!(first.url(), format!("unix:{}", path.display()));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let error = Listener::bind(&address, Access::Owner).await.err().unwrap();
        assert!(format!("{error:#}").contains("another server listens there"), "{error:#}");
        drop(first);
        assert!(!path.exists());

        // Of a server that was killed: the file stays.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let second = Listener::bind(&address, Access::Owner).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::remove_file(&path).unwrap();
        let third = Listener::bind(&address, Access::Owner).await.unwrap();
        drop(second);
        assert!(path.exists(), "the socket of another server stays");
        drop(third);
        fs::write(&path, "no socket").unwrap();
        assert!(Listener::bind(&address, Access::Owner).await.is_err());
    }
}
