//! A whole registry in one process: all services, nothing between them but a call. Or several of them,
//! each a region.

mod banner;
mod distant;
mod layout;
mod regions;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::cli::Dev;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::process;
use crate::role::Cast;

/// Lets webhooks call receivers of this machine, unless the settings say which networks they may call: those who
/// try them out have no others.
fn admit_this_machine(config: &mut Config) {
    let allowed = &mut config.webhooks.egress.allowed;
    if allowed.is_empty() {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
        allowed.extend([IpNet::V4(v4), IpNet::V6(v6)]);
    }
}

/// Serves until it is asked to stop.
pub(crate) async fn run(options: Dev) -> Result<(), Exit> {
    let mut config = config::of_dev(&options)?;
    admit_this_machine(&mut config);
    if !options.regions.is_empty() {
        return regions::run(config, &options).await;
    }
    if options.print_config {
        return config.print();
    }
    if let Some(root) = &config.data_dir {
        layout::check_one(root)?;
    }
    process::serve(config, Cast::whole(), banner::print).await
}
