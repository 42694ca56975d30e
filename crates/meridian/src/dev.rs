//! A whole registry in one process: all services, nothing between them but a call. Or several of them,
//! each a region.

mod banner;
mod distant;
mod regions;

use crate::cli::Dev;
use crate::config;
use crate::exit::Exit;
use crate::process;
use crate::role::Cast;

/// Serves until it is asked to stop.
pub(crate) async fn run(options: Dev) -> Result<(), Exit> {
    let config = config::of_dev(&options)?;
    if !options.regions.is_empty() {
        return regions::run(config, &options).await;
    }
    if options.print_config {
        return config.print();
    }
    process::serve(config, Cast::whole(), banner::print).await
}
