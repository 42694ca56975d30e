use std::io::{self, Write};

use super::CommandError;
use crate::cli::ListArgs;
use crate::content::Noise;
use crate::workload::{Site, WORKLOADS};

/// Prints the table of workloads.
pub(crate) fn list(arguments: &ListArgs) -> Result<(), CommandError> {
    let nowhere = Site::nowhere(&Noise::new());
    let scale = arguments.scale.scale();
    let mut out = io::stdout().lock();
    for workload in WORKLOADS {
        let about = workload.about();
        writeln!(out, "{:<4} {}", about.id, about.title)?;
        for case in workload.cases(&nowhere, &scale) {
            let name = case.name();
            let targets: Vec<String> = about
                .targets
                .iter()
                .filter(|target| target.means(&name))
                .map(|it| format!("{} {it}", it.metric.unit(about.operation)))
                .collect();
            writeln!(out, "       {name:<44} {}", targets.join("; "))?;
        }
    }
    Ok(())
}
