//! HTTP/2 clients that mean no good.
