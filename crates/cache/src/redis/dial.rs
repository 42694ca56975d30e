//! How a connection to Redis is made.
//!
//! Owns its order: TCP, TLS where it is asked for, who we are, and one question that is answered. The
//! files of certificates are read for each connection, so that renewed ones are used without a restart.

use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, Value, cmd};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::RedisConfig;
use super::tls::{self, TlsError};

/// Makes connections.
pub(super) struct Dialer {
    config: RedisConfig,
}

/// A connection, which many calls share. It ends when the last of them lets go of it.
pub(super) struct Connection {
    way: MultiplexedConnection,
    _driver: JoinSet<()>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot connect to Redis at {address}")]
    Connect {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("Redis at {0} did not take the connection in time")]
    TimedOut(String),
    #[error("the certificates for Redis cannot be used")]
    Tls(#[from] TlsError),
    #[error("Redis did not let us in")]
    Refused(#[from] RedisError),
    #[error("what answers at {0} is not Redis")]
    Stranger(String),
}

// === impl Dialer ===

impl Dialer {
    pub(super) const fn new(config: RedisConfig) -> Self {
        Self { config }
    }

    pub(super) async fn dial(&self) -> Result<Connection, DialError> {
        let dialled = timeout(self.config.connect_timeout, self.connect());
        let late = |_elapsed| DialError::TimedOut(self.config.address.clone());
        dialled.await.map_err(late)?
    }

    async fn connect(&self) -> Result<Connection, DialError> {
        let address = &self.config.address;
        let failed = |source| DialError::Connect {
            address: address.clone(),
            source,
        };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        // Each call is one small packet.
        stream.set_nodelay(true).map_err(failed)?;
        let Some(settings) = &self.config.tls else {
            return self.introduce(stream).await;
        };
        let connector = TlsConnector::from(Arc::new(tls::client(settings)?));
        let name = tls::server_name(address)?;
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        self.introduce(stream).await
    }

    async fn introduce<S>(&self, stream: S) -> Result<Connection, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = &self.config;
        let mut us = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name()
            .set_db(config.database.into());
        if !config.user.is_empty() {
            us = us.set_username(&config.user);
        }
        if !config.password.is_empty() {
            us = us.set_password(config.password.expose());
        }
        // Each call has a deadline of its own, and there are no more of them than have a turn.
        let bounds = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(config.in_flight);
        let made = MultiplexedConnection::new_with_config(&us, stream, bounds);
        let (mut way, driver) = made.await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        match cmd("PING").query_async(&mut way).await? {
            Value::SimpleString(answer) if answer == "PONG" => Ok(Connection {
                way,
                _driver: tasks,
            }),
            _ => Err(DialError::Stranger(config.address.clone())),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.config.address)
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn way(&self) -> MultiplexedConnection {
        self.way.clone()
    }
}
