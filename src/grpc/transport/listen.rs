//! Where clients find leukd: an address, a Unix socket, or both.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Why leukd cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or not this machine's.
    #[error(
        "cannot listen on {address}: {source}; stop what listens there, or choose another address with \
         rpc.listen or --listen"
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another process serves the socket.
    #[error(
        "{0} is in use: another leukd serves there; stop it, or choose another path with rpc.socket"
    )]
    InUse(PathBuf),
    /// Something else has the socket's name.
    #[error("{0} is no socket: remove it, or choose another path with rpc.socket")]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error(
        "cannot serve the socket {path}: {source}; its folder must exist, and leukd's user must be able to write there \
         (the unit's RuntimeDirectory= makes /run/leukd)"
    )]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A Unix socket that listens. Its file goes with it.
#[derive(Debug)]
pub struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode: another's file of the same name is left alone. None: the file is not ours.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Makes the socket. An abandoned one is replaced; one in use is not.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn open(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Socket { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(ListenError::NoSocket(path.to_owned()));
            }
            Ok(_) => match UnixStream::connect(path).await {
                // Only an abandoned socket refuses.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tracing::info!("replaced {}, left by an earlier leukd", path.display());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) | Err(_) => return Err(ListenError::InUse(path.to_owned())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // Under another name until its mode is right, so that no client connects before.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let made = || {
            let listener = UnixListener::bind(&beside)?;
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode))?;
            let metadata = std::fs::symlink_metadata(&beside)?;
            std::fs::rename(&beside, path)?;
            Ok((listener, (metadata.dev(), metadata.ino())))
        };
        let (listener, file) = made().map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), file: Some(file) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let own = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| Some((metadata.dev(), metadata.ino())) == self.file);
        if own && let Err(error) = std::fs::remove_file(&self.path) {
            // The next start replaces it.
            tracing::debug!("{} stays behind: {error}", self.path.display());
        }
    }
}

/// Everything that leukd listens on.
#[derive(Debug)]
pub struct Listeners {
    /// An address.
    pub tcp: Option<TcpListener>,
    /// A socket of this machine.
    pub unix: Option<UnixSocket>,
}

impl Listeners {
    /// Listens on an address, on a socket (its path and mode), or on both.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn open(
        address: Option<SocketAddr>,
        socket: Option<(&Path, u32)>,
    ) -> Result<Self, ListenError> {
        let tcp = match address {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| ListenError::Address { address, source })?,
            ),
            None => None,
        };
        let unix = match socket {
            Some((path, mode)) => Some(UnixSocket::open(path, mode).await?),
            None => None,
        };
        Ok(Self { tcp, unix })
    }

    /// Second handles of the same listeners. A connection goes to the handle that accepts it.
    ///
    /// # Errors
    /// The system gives no file descriptor.
    pub fn share(&self) -> io::Result<Self> {
        let tcp = self.tcp.as_ref().map(|tcp| {
            let shared = std::net::TcpListener::from(tcp.as_fd().try_clone_to_owned()?);
            TcpListener::from_std(shared)
        });
        let unix = self.unix.as_ref().map(|unix| {
            let shared = unix.listener.as_fd().try_clone_to_owned()?;
            let listener = UnixListener::from_std(std::os::unix::net::UnixListener::from(shared))?;
            io::Result::Ok(UnixSocket { listener, path: unix.path.clone(), file: None })
        });
        Ok(Self { tcp: tcp.transpose()?, unix: unix.transpose()? })
    }
}

impl From<TcpListener> for Listeners {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp: Some(tcp), unix: None }
    }
}
