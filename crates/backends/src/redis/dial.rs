//! One attempt to connect. In: settings. Out: a connection on which the server has answered, and its driver.
//!
//! The server's certificate is always checked; there is no switch. The caller holds the deadline.

use std::{io, sync::Arc, time::Duration};

use coracle_capability::keyvalue::Error;
use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, Value, aio::MultiplexedConnection, cmd,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{
    config::{Config, ConfigError},
    failure,
    watched::Watched,
};

/// An idle connection whose peer is gone is found within this and a few probes.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Connects to one server.
pub(crate) struct Dialler {
    config: Config,
    tls: Option<TlsConnector>,
}

impl Dialler {
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        let tls = config
            .endpoint
            .tls
            .then(|| connector(&config))
            .transpose()?;
        Ok(Self { config, tls })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A connection, and the task that drives it until it is lost or nobody holds it.
    pub(crate) async fn dial(&self) -> Result<(MultiplexedConnection, JoinHandle<()>), Error> {
        let tcp = self.tcp().await.map_err(|error| failure::of_dial(&error))?;
        let Some(tls) = &self.tls else {
            return self.greet(tcp).await;
        };
        let name = ServerName::try_from(self.config.endpoint.host.clone())
            .map_err(|_| Error::Failed("the host of Redis is no name that TLS can check".into()))?;
        let stream = tls.connect(name, tcp).await;
        self.greet(stream.map_err(|error| failure::of_dial(&error))?)
            .await
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let endpoint = &self.config.endpoint;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE / 2)
            .with_retries(3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok(stream)
    }

    /// The greeting is ours, command by command, because the client's own hides which error a server gave.
    async fn greet<S>(&self, stream: S) -> Result<(MultiplexedConnection, JoinHandle<()>), Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let settings = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let anonymous = RedisConnectionInfo::default().set_skip_set_lib_name();
        let stream = Watched::new(stream, self.config.timeout);
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&anonymous, stream, settings)
                .await
                .map_err(|error| failure::of_client(&error))?;
        let driver = tokio::spawn(driver);
        for command in self.greeting() {
            match connection.send_packed_command(&command).await {
                // A user that may not PING has still been told so by a server that answers.
                Ok(Value::ServerError(reply)) if reply.code() == "NOPERM" => {}
                Ok(Value::ServerError(reply)) => return Err(failure::of_reply(&reply).error),
                Ok(_) => {}
                Err(error) => return Err(failure::of_client(&error)),
            }
        }
        Ok((connection, driver))
    }

    fn greeting(&self) -> Vec<Cmd> {
        let mut commands = Vec::new();
        if let Some(password) = &self.config.password {
            let mut auth = cmd("AUTH");
            auth.arg(self.config.username.as_deref());
            auth.arg(password.reveal());
            commands.push(auth);
        }
        if self.config.endpoint.database != 0 {
            let mut select = cmd("SELECT");
            select.arg(self.config.endpoint.database);
            commands.push(select);
        }
        commands.push(cmd("PING"));
        commands
    }
}

fn connector(config: &Config) -> Result<TlsConnector, ConfigError> {
    let mut roots = RootCertStore::empty();
    match &config.ca_pem {
        Some(pem) => {
            for authority in CertificateDer::pem_slice_iter(pem) {
                let authority = authority.map_err(|_| ConfigError::Authorities)?;
                roots.add(authority).map_err(|_| ConfigError::Authorities)?;
            }
            if roots.is_empty() {
                return Err(ConfigError::Authorities);
            }
        }
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| ConfigError::Authorities)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
