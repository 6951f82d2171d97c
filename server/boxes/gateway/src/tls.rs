//! The certificate of HTTPS: from files, or self-signed and kept in the data folder.
//!
//! A self-signed certificate does not prove the server's identity: it is for trying things out, and a browser
//! warns about it. It is kept, so that a client that trusts it need not trust another after a restart.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::settings::TlsSettings;

/// Why HTTPS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not PEM.
    #[error("{path} cannot be used for HTTPS: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// Certificate and key do not match, or are of an unsupported kind.
    #[error("the certificate and its key cannot be used together: {0}")]
    Mismatch(#[from] rustls::Error),
    /// A self-signed certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Generation(#[from] rcgen::Error),
}

/// The configuration of HTTPS; `None` where the settings ask for plain HTTP. A self-signed certificate is
/// kept in `folder`, and names the address at which the server listens.
pub fn server_config(
    settings: &TlsSettings,
    folder: &Path,
    listen: IpAddr,
) -> Result<Option<ServerConfig>, TlsError> {
    let (certificate, key) = match (&settings.tls_cert, &settings.tls_key, settings.tls) {
        (Some(certificate), Some(key), _) => (certificate.clone(), key.clone()),
        (_, _, Some(_)) => self_signed(folder, listen)?,
        _ => return Ok(None),
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&certificate, error))?;
    if chain.is_empty() {
        return Err(unusable(&certificate, "it has no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, error))?;
    let mut config = ServerConfig::builder_with_provider(cryptography::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(config))
}

/// The files of a self-signed certificate for this machine, made where they do not exist.
fn self_signed(folder: &Path, listen: IpAddr) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if !certificate.is_file() || !key.is_file() {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        // An IPv4 address that is written as one of IPv6 is reached as the IPv4 address.
        let listen = listen.to_canonical();
        if !listen.is_unspecified() && !listen.is_loopback() {
            names.push(listen.to_string());
        }
        let made = rcgen::generate_simple_self_signed(names)?;
        fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
        write_private(&key, &made.signing_key.serialize_pem()).map_err(|error| unusable(&key, error))?;
        fs::write(&certificate, made.cert.pem()).map_err(|error| unusable(&certificate, error))?;
    }
    Ok((certificate, key))
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    use io::Write as _;

    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::settings::TlsMode;

    const LISTEN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn without_settings_it_is_plain_http() {
        let config = server_config(&TlsSettings::default(), Path::new("tls"), LISTEN);
        assert!(config.unwrap().is_none());
    }

    #[test]
    fn a_self_signed_certificate_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let settings = TlsSettings {
            tls: Some(TlsMode::SelfSigned),
            ..TlsSettings::default()
        };
        let config = || server_config(&settings, &folder.path().join("tls"), LISTEN).unwrap();
        assert!(config().is_some());
        let kept = || fs::read(folder.path().join("tls/certificate.pem")).unwrap();
        let first = kept();
        config();
        assert_eq!(kept(), first);
    }

    #[test]
    fn an_unusable_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
        fs::write(&certificate, "nothing").unwrap();
        fs::write(&key, "nothing").unwrap();
        let settings = TlsSettings {
            tls_cert: Some(certificate),
            tls_key: Some(key),
            tls: None,
        };
        let refusal = server_config(&settings, folder.path(), LISTEN)
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("c.pem"), "{refusal}");
    }
}
