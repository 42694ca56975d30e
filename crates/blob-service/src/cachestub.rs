use bytes::Bytes;
use std::time::Duration;
#[async_trait::async_trait]
pub trait Cache: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, std::io::Error>;
    async fn put(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), std::io::Error>;
}
