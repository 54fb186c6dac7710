//! What was found, as a page: `docs/privacy-measured.md`. Nothing in it depends on the machine.

mod words;

use std::fmt;

use undertone::Scope;
use undertone_linkability::{
    attack::{self, Result},
    measure::{Control, Design, Metadata, SMALLEST, STRENGTHS, Size, ValueRow},
    score::Score,
    workload::Program,
};

/// All that a run has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) full: bool,
    /// How long it was, beside the length that it has unless told otherwise.
    pub(crate) length: f64,
    /// Crowds that were too large for it.
    pub(crate) left_out: Vec<u32>,
    pub(crate) design: Vec<Design>,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) controls: Vec<Control>,
    pub(crate) values: Vec<ValueRow>,
    pub(crate) value_size: Option<Size>,
}

impl Findings {
    /// What is over its limit, and leaks that were not found.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.metadata.iter().flat_map(Metadata::faults).collect();
        faults.extend(self.design.iter().flat_map(Design::faults));
        let missed = self.controls.iter().filter(|control| control.smallest().is_none());
        faults.extend(
            missed.map(|control| format!("the leak {:?} was not found", control.leak.name())),
        );
        faults
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", words::BEGIN)?;
        self.write_run(f)?;
        self.write_metadata(f)?;
        self.write_design(f)?;
        self.write_values(f)?;
        self.write_controls(f)?;
        write!(f, "{}", words::END)
    }
}

impl Findings {
    fn write_run(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "This page is of a {} run", if self.full { "full" } else { "quick" })?;
        if self.length != 1.0 {
            write!(
                f,
                " of {} of its length (`--days {}`), less sure than it should be",
                self.length, self.length
            )?;
        }
        write!(f, ".")?;
        if !self.left_out.is_empty() {
            let left_out: Vec<String> = self.left_out.iter().map(u32::to_string).collect();
            write!(f, " Crowds of {} agents were left out.", left_out.join(" and "))?;
        }
        writeln!(f, "\n")
    }

    fn write_metadata(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", words::METADATA)?;
        writeln!(
            f,
            "| Agents | Days, seed | Sessions asked about | Sessions an hour | Chance | Formula | No program | Best attacker | It pairs | 95 % | Verdict |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        for row in &self.metadata {
            let Some(best) = row.best() else { continue };
            let Size { agents, days, seed } = row.size;
            let verdict = verdict(&row.faults());
            writeln!(
                f,
                "| {agents} | {days:.1}, {seed} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {verdict} |",
                best.score.asked,
                row.rate,
                percent(row.chance),
                percent(row.formula),
                percent(row.without_program()),
                best.attacker,
                percent(best.score.share()),
                bounds(best.score),
            )?;
        }
        writeln!(f, "\nEach attacker alone:\n\n| It looks at |{}", self.heads())?;
        writeln!(f, "|---|{}", "---|".repeat(self.metadata.len()))?;
        for attacker in self.metadata.first().map(|row| row.results.as_slice()).unwrap_or_default()
        {
            let cell = |row: &Metadata| share(&row.results, &attacker.attacker);
            let cells: Vec<String> = self.metadata.iter().map(cell).collect();
            writeln!(f, "| {} | {} |", attacker.attacker, cells.join(" | "))?;
        }
        for attacker in self.metadata.first().map(|row| row.ideal.as_slice()).unwrap_or_default() {
            let cell = |row: &Metadata| share(&row.ideal, &attacker.attacker);
            let cells: Vec<String> = self.metadata.iter().map(cell).collect();
            writeln!(f, "| no program at all: {} | {} |", attacker.attacker, cells.join(" | "))?;
        }
        writeln!(f)
    }

    fn heads(&self) -> String {
        self.metadata.iter().map(|row| format!(" {} agents |", row.size.agents)).collect()
    }

    fn write_design(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", words::DESIGN)?;
        writeln!(
            f,
            "| Agents | Sessions asked about | Formula | the latest end | gap | gap, all pairs together | Verdict |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.design {
            let shares: Vec<String> =
                row.results.iter().map(|result| percent(result.score.share())).collect();
            let asked = row.results.first().map_or(0, |result| result.score.asked);
            writeln!(
                f,
                "| {} | {asked} | {} | {} | {} |",
                row.agents,
                percent(row.formula),
                shares.join(" | "),
                if row.agents < SMALLEST { "no limit" } else { verdict(&row.faults()) },
            )?;
        }
        writeln!(f)
    }

    fn write_values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", words::VALUES)?;
        if let Some(Size { agents, days, seed }) = &self.value_size {
            writeln!(f, "{agents} agents, {days:.1} days, seed {seed}.\n")?;
        }
        writeln!(
            f,
            "| Program | Scope | Setting | Sessions asked about | Times alone | Nearest neighbour | Best attacker | It pairs | 95 % |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for row in &self.values {
            let Some(best) = attack::best(&row.results) else { continue };
            let program = match row.program {
                Program::Browser => "browser",
                Program::FileServer => "file server",
            };
            let scope = if row.scope == Scope::Batch { "`batch`" } else { "life, 6 h" };
            writeln!(
                f,
                "| {program} | {scope} | {} | {} | {} | {} | {} | {} | {} |",
                row.coarseness,
                best.score.asked,
                share(&row.results, attack::BY_GAP),
                share(&row.results, "nearest neighbour"),
                best.attacker,
                percent(best.score.share()),
                bounds(best.score),
            )?;
        }
        writeln!(f)
    }

    fn write_controls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", words::CONTROLS)?;
        let heads: String = STRENGTHS.iter().map(|s| format!(" in {:.0} % |", 100.0 * s)).collect();
        writeln!(f, "| Leak | Clearest to |{heads} Smallest found |\n|---|---|---|---|---|---|")?;
        for control in &self.controls {
            let clearest = control.tried.first().map_or("", |(attacker, ..)| attacker.as_str());
            let cells: String = control
                .tried
                .iter()
                .map(|(_, without, with, found)| {
                    let mark = if *found { "**" } else { "" };
                    let (without, with) = (percent(without.share()), percent(with.share()));
                    format!(" {without} → {mark}{with}{mark} |")
                })
                .collect();
            let smallest = control.smallest().map_or("**not found**".to_owned(), |strength| {
                format!("{:.0} % of agents", 100.0 * strength)
            });
            writeln!(f, "| {} | {clearest} |{cells} {smallest} |", control.leak.name())?;
        }
        writeln!(f)
    }
}

fn verdict(faults: &[String]) -> &'static str {
    if faults.is_empty() { "within its limit" } else { "**over its limit**" }
}

fn share(results: &[Result], attacker: &str) -> String {
    let found = results.iter().find(|result| result.attacker == attacker);
    found.map_or_else(|| "–".to_owned(), |result| percent(result.score.share()))
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        percent if percent >= 10.0 => format!("{percent:.1} %"),
        percent if percent >= 0.1 => format!("{percent:.2} %"),
        percent => format!("{percent:.3} %"),
    }
}

fn bounds(score: Score) -> String {
    let (low, high) = score.bounds();
    format!("{} – {}", percent(low).trim_end_matches(" %"), percent(high))
}
