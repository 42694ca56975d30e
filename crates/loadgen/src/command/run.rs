//! `loadgen run`: one workload against one registry.

use std::io::{self, Write};

use tokio::time::timeout;

use super::{CommandError, block_length};
use crate::bench::{Usage, figures};
use crate::cli::RunArgs;
use crate::content::Noise;
use crate::drive::{Block, Pacing};
use crate::gauge::Gauge;
use crate::registry::Registry;
use crate::workload::{Case, Fresh, LoadError, Site, is_selected, select};

/// Runs the cases one after the other and prints a line per block.
pub(crate) async fn run(arguments: &RunArgs) -> Result<(), CommandError> {
    let wanted = std::slice::from_ref(&arguments.workload);
    let workloads = select(wanted).map_err(CommandError::UnknownWorkload)?;
    let site = Site {
        registry: Registry::at(arguments.target),
        leader: Some(arguments.target),
        gauge: arguments.pid.map(Gauge::of),
        ..Site::nowhere(&Noise::new())
    };
    let block = Block {
        length: block_length(arguments.block, arguments.scale.quick),
        pacing: arguments.rate.map_or(Pacing::Closed, Pacing::Open),
    };
    for workload in workloads {
        let about = workload.about();
        if about.fresh == Fresh::Start {
            return Err(CommandError::Starts(about.id));
        }
        for mut case in workload.cases(&site, &arguments.scale.scale()) {
            let name = case.name();
            if is_selected(&name, &arguments.cases) {
                writeln!(io::stdout(), "{} {name}", about.id)?;
                let limit = (case.manner().limit + block.length) * (arguments.blocks + 2);
                let measured =
                    measure(&mut *case, &site, &block, arguments.blocks, about.operation);
                timeout(limit, measured)
                    .await
                    .map_err(|_| CommandError::Deadline(limit))??;
            }
        }
    }
    Ok(())
}

async fn measure(
    case: &mut dyn Case,
    site: &Site,
    block: &Block,
    blocks: u32,
    operation: &str,
) -> Result<(), CommandError> {
    case.prepare().await?;
    for _ in 0..blocks {
        case.arm().await?;
        if let Some(gauge) = &site.gauge {
            gauge.forget_peak();
        }
        let before = cpu(site)?;
        let sample = case.fire(block).await?;
        let usage = match (before, cpu(site)?, &site.gauge) {
            (Some(before), Some(after), Some(gauge)) => Some(Usage {
                cpu_s: after - before,
                peak_kib: gauge.peak().map_err(LoadError::from)?,
            }),
            _ => None,
        };
        let figures = figures(&sample, case.manner().measures, usage);
        let shown: Vec<String> = figures
            .iter()
            .map(|(metric, figure)| format!("{figure:.4} {}", metric.unit(operation)))
            .collect();
        writeln!(io::stdout(), "  {}", shown.join("  "))?;
    }
    let verified = case.verify().await?;
    let (checked, of) = (verified.checked, verified.of);
    writeln!(io::stdout(), "  read back {checked} of {of}")?;
    Ok(())
}

fn cpu(site: &Site) -> Result<Option<f64>, LoadError> {
    let time = site.gauge.as_ref().map(Gauge::cpu).transpose()?;
    Ok(time.map(|it| it.as_secs_f64()))
}
