//! How a webhook is called: what of it is a secret of its receiver.

use serde::{Deserialize, Serialize};

use super::{CustomHeaders, ServiceUri, WebhookFault, WebhookLimits};

/// Where a webhook is called, and what it shows there. Both often are credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Where.
    pub uri: ServiceUri,
    /// What each request has beside the headers of its form.
    pub headers: CustomHeaders,
}

// === impl Callback ===

impl Callback {
    /// Looks for what exceeds a limit.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn check(&self, limits: &WebhookLimits) -> Result<(), WebhookFault> {
        if self.headers.len() > limits.headers {
            Err(WebhookFault::Headers(limits.headers))
        } else if self.headers.bytes() > limits.header_bytes {
            Err(WebhookFault::HeaderBytes(limits.header_bytes))
        } else {
            Ok(())
        }
    }
}
