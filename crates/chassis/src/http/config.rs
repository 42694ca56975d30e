//! Limits of an HTTP listener.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::guard::Limits;
use crate::config::{Bounds, ByteSize};

/// As good as for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest window that HTTP/2 has (RFC 9113, section 6.9.1).
const LARGEST: ByteSize = ByteSize::bytes(i32::MAX as u64);

/// What a listener allows its clients. The defaults suit one that faces the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Connections at once.
    pub max_connections: u32,
    /// Connections at once from one address: one IPv4 address, or one IPv6 network of 64 bits.
    pub max_connections_per_address: u32,
    /// Networks whose addresses may hold any number of connections. By default this machine.
    pub uncapped_networks: Vec<IpNet>,
    /// Networks of proxies whose `X-Forwarded-*` headers are believed. By default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Host names that requests may be for; `*.example.com` allows every name below. Empty
    /// allows all; otherwise a request for another host answers 421.
    pub host_names: Vec<String>,
    /// A TLS handshake takes at most so long.
    #[serde(with = "humantime_serde")]
    pub tls_handshake_timeout: Duration,
    /// The first byte comes within so long, or the connection is closed.
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// A request's head is complete within so long from its first byte, or is answered 408.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// A connection without a request is closed after so long.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// A connection without a request gives back its buffers after so long.
    #[serde(with = "humantime_serde")]
    pub rest_after: Duration,
    /// A response of which the client takes not a byte for so long is given up.
    #[serde(with = "humantime_serde")]
    pub write_stall_timeout: Duration,
    /// A client that was told to go, and has nothing left to read, goes within so long.
    #[serde(with = "humantime_serde")]
    pub leave_timeout: Duration,
    /// A connection is used for so long; then it is drained, and its client makes another. Zero: for
    /// ever.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// How slowly a request body may come.
    pub min_body_rate: BodyRate,
    /// Bytes of a request's head, its first line included; more answers 431.
    pub max_head: ByteSize,
    /// Bytes of a request's target; more answers 414.
    pub max_target: ByteSize,
    /// Headers of a request; more answers 431.
    pub max_headers: u16,
    /// Bytes that one HTTP/1 connection reads, or gathers for writing, at once. An upload holds
    /// up to four of them: one being read, one on its way, one with the service, one to come.
    pub buffer: ByteSize,
    /// Limits of HTTP/2 connections.
    pub http2: Http2Config,
}

/// The least that must arrive of a body that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BodyRate {
    /// At least so much … (Zero: as slowly as it likes.)
    pub bytes: ByteSize,
    /// … in each such time of waiting. The time in which nobody waits for the body is not
    /// counted.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
}

/// Limits of an HTTP/2 connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2Config {
    /// Requests at once.
    pub max_concurrent_streams: u32,
    /// Bytes of a request's headers, decoded.
    pub max_header_list: ByteSize,
    /// Streams that a client may have reset before we took them up; more ends the connection.
    pub max_pending_reset_streams: usize,
    /// Streams that we may have reset for the client's errors; more ends the connection.
    pub max_error_reset_streams: usize,
    /// Bytes of one request's body that may be under way unread.
    pub stream_window: ByteSize,
    /// Bytes of all bodies of a connection that may be under way unread.
    pub connection_window: ByteSize,
    /// How often a peer is asked whether it still lives. Zero: never.
    #[serde(with = "humantime_serde")]
    pub ping_every: Duration,
}

// === impl HttpConfig ===

impl Default for HttpConfig {
    fn default() -> Self {
        let this_machine = ["127.0.0.0/8", "::1/128"];
        Self {
            max_connections: 16_384,
            max_connections_per_address: 1024,
            uncapped_networks: this_machine
                .map(|net| net.parse().expect("a network as ipnet writes it"))
                .to_vec(),
            trusted_proxies: Vec::new(),
            host_names: Vec::new(),
            tls_handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            rest_after: Duration::from_secs(1),
            write_stall_timeout: Duration::from_secs(60),
            leave_timeout: Duration::from_secs(5),
            max_connection_age: Duration::ZERO,
            min_body_rate: BodyRate::default(),
            max_head: ByteSize::kib(64),
            max_target: ByteSize::kib(16),
            max_headers: 100,
            buffer: ByteSize::kib(64),
            http2: Http2Config::default(),
        }
    }
}

impl HttpConfig {
    /// Limits for a listener that only our own services reach, whose streams may be silent for
    /// long.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            min_body_rate: BodyRate {
                bytes: ByteSize::bytes(0),
                ..BodyRate::default()
            },
            // Ours give calls up by the hundred when a network is cut, and are no attackers.
            http2: Http2Config {
                max_pending_reset_streams: 10_000,
                ..Http2Config::default()
            },
            ..Self::default()
        }
    }

    /// Everything that is wrong with it, each in words that begin with the key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut bounds = Bounds::default();
        let connections = 1..=1_000_000;
        let (all, each) = (self.max_connections, self.max_connections_per_address);
        bounds.number("max_connections", all.into(), connections.clone());
        bounds.number("max_connections_per_address", each.into(), connections);
        let spans = Duration::from_millis(10)..=Duration::from_secs(24 * 3_600);
        for (key, value) in [
            ("tls_handshake_timeout", self.tls_handshake_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("head_timeout", self.head_timeout),
            ("keep_alive", self.keep_alive),
            ("write_stall_timeout", self.write_stall_timeout),
            ("leave_timeout", self.leave_timeout),
        ] {
            bounds.span(key, value, spans.clone());
        }
        bounds.number("max_headers", self.max_headers.into(), 1..=10_000);
        bounds.faults()
    }

    /// These limits where each is one that the libraries below take, and no sum of a time and a
    /// limit overflows.
    #[must_use]
    pub(super) fn within_reason(mut self) -> Self {
        for time in [
            &mut self.tls_handshake_timeout,
            &mut self.first_byte_timeout,
            &mut self.head_timeout,
            &mut self.keep_alive,
            &mut self.rest_after,
            &mut self.write_stall_timeout,
            &mut self.leave_timeout,
            &mut self.max_connection_age,
            &mut self.min_body_rate.per,
            &mut self.http2.ping_every,
        ] {
            *time = (*time).min(LONGEST);
        }
        let http2 = &mut self.http2;
        for size in [
            &mut self.max_head,
            &mut self.buffer,
            &mut http2.max_header_list,
            &mut http2.stream_window,
            &mut http2.connection_window,
        ] {
            *size = (*size).min(LARGEST);
        }
        self.buffer = self.buffer.max(self.max_head).max(ByteSize::kib(8));
        self
    }

    pub(super) fn head_limits(&self) -> Limits {
        Limits {
            head: self.max_head.as_usize(),
            target: self.max_target.as_usize(),
            headers: usize::from(self.max_headers),
        }
    }
}

// === impl BodyRate ===

impl Default for BodyRate {
    fn default() -> Self {
        Self {
            bytes: ByteSize::kib(1),
            per: Duration::from_secs(10),
        }
    }
}

// === impl Http2Config ===

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 128,
            max_header_list: ByteSize::kib(32),
            max_pending_reset_streams: 20,
            max_error_reset_streams: 128,
            stream_window: ByteSize::mib(1),
            connection_window: ByteSize::mib(4),
            ping_every: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_is_beyond_what_the_libraries_take() {
        let mut config = HttpConfig {
            keep_alive: Duration::MAX,
            buffer: ByteSize::bytes(0),
            ..HttpConfig::default()
        };
        config.http2.stream_window = ByteSize::bytes(u64::MAX);
        let config = config.within_reason();
        assert_eq!(config.keep_alive, LONGEST);
        assert_eq!(config.buffer, config.max_head);
        assert_eq!(config.http2.stream_window, LARGEST);
    }

    #[test]
    fn the_defaults_are_within_reason() {
        let config = HttpConfig::default();
        assert_eq!(config.clone().within_reason(), config);
    }
}
