//! `meridian region`: where clients are sent, from the command line.

use http::Method;

use crate::cli::{self, RegionVerb};
use crate::exit::Exit;
use crate::management::{NewDrain, RegionView};
use crate::verbs::{client, print};

/// `meridian region`
pub(crate) async fn run(options: cli::RegionOptions) -> Result<(), Exit> {
    let client = client(&options.target)?;
    let region: RegionView = match options.verb {
        RegionVerb::Status => client.call(Method::GET, "/v1/region").await,
        RegionVerb::Drain { reason } => {
            let drain = NewDrain { reason };
            client.tell(Method::PUT, "/v1/region/drain", &drain).await
        }
        RegionVerb::Undrain => client.call(Method::DELETE, "/v1/region/drain").await,
    }?;
    print(&options.target, &region)
}
