//! Order statistics and the table that every bench prints.

/// One figure, measured in several rounds, each beside a round of its floor.
#[derive(Default)]
pub(crate) struct Rounds(Vec<(f64, f64)>);

impl Rounds {
    /// A round of the measured thing, and one of its floor.
    pub(crate) fn add(&mut self, measured: f64, floor: f64) {
        self.0.push((measured, floor));
    }

    /// Prints the medians of all rounds: the figure, its floor, and the ratio within a round, which
    /// is what a machine with other work leaves as it is.
    pub(crate) fn print(&self, what: &str) {
        let median = |of: fn(&(f64, f64)) -> f64| {
            percentile(&mut self.0.iter().map(of).collect::<Vec<_>>(), 50)
        };
        let (measured, floor) = (median(|r| r.0), median(|r| r.1));
        let ratio = median(|r| r.0 / r.1);
        println!("{what:<52} {measured:>9.1} {floor:>9.1} {ratio:>8.2}");
    }
}

/// The head of the table.
pub(crate) fn print_head(what: &str, unit: &str) {
    println!("{what:<52} {unit:>9} {:>9} {:>8}", "floor", "x floor");
}

/// The value that so many per cent of all do not exceed; sorts them. NaN of none.
pub(crate) fn percentile(values: &mut [f64], per_cent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(last * per_cent / 100).copied().unwrap_or(f64::NAN)
}
