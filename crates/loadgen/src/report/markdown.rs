//! The table as it stands in a document, with the command that made it.

use std::io::{self, Write};

use super::summary::notes;
use super::table::{number, peer, ratio, targets, title};
use super::{Document, Section};
use crate::bench::Outcome;

pub(super) fn write(out: &mut impl Write, report: &Document<'_>) -> io::Result<()> {
    head(out, report)?;
    writeln!(
        out,
        "| | case | metric | ours | peer | ours / peer (95 %) | target |"
    )?;
    writeln!(out, "|---|---|---|--:|--:|---|---|")?;
    for section in report.rows {
        rows(out, section)?;
    }
    writeln!(out)?;
    for section in report.rows {
        remarks(out, section)?;
    }
    Ok(())
}

fn head(out: &mut impl Write, report: &Document<'_>) -> io::Result<()> {
    let header = &report.header;
    let machine = &header.machine;
    writeln!(out, "Made by `{}` on {}.\n", header.command, header.began)?;
    writeln!(
        out,
        "{}, {} CPUs, {} MiB, Linux {}, data on {}. {}. {}. \
         Blocks of {} s in the order A B B A; ratios are medians over pairs. \
         CPU from {}. fsyncs {}.",
        machine.cpu,
        machine.cpus,
        machine.memory_mib,
        machine.kernel,
        machine.filesystem,
        header.software.join("; "),
        match machine.pinned {
            Some([servers, generator]) =>
                format!("Servers on CPU {servers}, generator on CPU {generator}"),
            None => "Nothing pinned".to_owned(),
        },
        header.block_s,
        report.cpu_source,
        header.syncs,
    )?;
    if let Some(floor) = report.hash_s_per_gb {
        writeln!(out, "SHA-256 takes {} CPU s/GB here.", number(floor))?;
    }
    writeln!(out)
}

fn rows(out: &mut impl Write, section: &Section) -> io::Result<()> {
    let row = &section.row;
    for line in &section.summary {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.workload,
            title(row),
            line.unit,
            number(line.ours),
            peer(line),
            line.ratio.as_ref().map(ratio).unwrap_or_default(),
            targets(line),
        )?;
    }
    Ok(())
}

fn remarks(out: &mut impl Write, section: &Section) -> io::Result<()> {
    let row = &section.row;
    let outcome = match &row.outcome {
        Outcome::Failed(error) => format!("FAILED: {error}"),
        Outcome::Verified(sides) => format!(
            "read back {} of {} (ours), {} of {} (peer)",
            sides.ours.checked, sides.ours.of, sides.peer.checked, sides.peer.of
        ),
    };
    let notes = notes(row).join("; ");
    writeln!(out, "- {} {}: {notes}; {outcome}", row.workload, title(row))
}
