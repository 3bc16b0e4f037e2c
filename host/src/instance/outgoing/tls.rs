//! TLS towards servers: TLS 1.2 and 1.3, with certificates of the authorities that Mozilla trusts, or of those in the file
//! that `SSL_CERT_FILE` names.

use std::{
    io,
    path::Path,
    sync::{Arc, LazyLock},
};

use anyhow::Context;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use wasmtime_wasi_http::Error;

use crate::plan::RemoteHost;

/// Made with the first request that needs it; none where the authorities cannot be read.
static CONFIG: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    let config = config(file.as_deref().map(Path::new));
    config.map(Arc::new).map_err(|error| tracing::error!("no app can send requests by https: {error:#}")).ok()
});

fn config(authorities: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let reading = || format!("reading {}, which SSL_CERT_FILE names", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(reading)? {
                roots.add(certificate.with_context(reading)?).with_context(reading)?;
            }
            anyhow::ensure!(
                !roots.is_empty(),
                "{}, which SSL_CERT_FILE names, has no certificate",
                file.display()
            );
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Agrees on TLS with a server whose certificate is for `host`.
pub(super) async fn connect(host: &RemoteHost, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
    let config = CONFIG.as_ref().ok_or(Error::ConfigurationError)?;
    let name = match host {
        RemoteHost::Address(address) => ServerName::from(*address),
        RemoteHost::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
        }
    };
    TlsConnector::from(config.clone()).connect(name, stream).await.map_err(|error| tls_error(&error))
}

fn tls_error(error: &io::Error) -> Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}
