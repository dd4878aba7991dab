//! Contexts, extensions, steps: what a plan's files say, ready to be looked up.

use crate::call::{DialPlan, Fit, Match, Pattern, Target};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Contexts that include each other are followed so deep.
const INCLUDES_DEEP: usize = 16;

/// Where a channel is in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Context.
    pub context: String,
    /// Extension: what was dialled, or a name as `s`.
    pub extension: String,
    /// Priority, from 1.
    pub priority: u32,
}

impl Position {
    /// The beginning of an extension.
    pub fn start(context: &str, extension: &str) -> Self {
        Self { context: context.to_owned(), extension: extension.to_owned(), priority: 1 }
    }
}

/// A priority, by its number or its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A number.
    Priority(u32),
    /// A label.
    Label(&'a str),
}

/// One step of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The application, as it is called in [`super::APPLICATIONS`].
    pub application: &'static str,
    /// Its arguments as they stand there, variables and all.
    pub data: String,
    /// A name for its priority.
    pub label: Option<String>,
}

/// What is done for one number or pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// By priority.
    pub steps: BTreeMap<u32, Step>,
    /// The devices whose state is the extension's.
    pub hint: Option<String>,
}

impl Extension {
    /// The number of a priority, where there is a step.
    pub fn priority(&self, start: Start<'_>) -> Option<u32> {
        match start {
            Start::Priority(number) => self.steps.contains_key(&number).then_some(number),
            Start::Label(label) => {
                let has = |step: &Step| step.label.as_deref() == Some(label);
                self.steps.iter().find(|(_, step)| has(step)).map(|(number, _)| *number)
            }
        }
    }
}

/// Numbers that belong together.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Numbers and names.
    pub exact: BTreeMap<String, Extension>,
    /// What takes less comes first.
    pub patterns: Vec<(String, Pattern, Extension)>,
    /// Looked into when nothing here fits, in this order.
    pub includes: Vec<String>,
}

impl Context {
    pub(super) fn extension_mut(&mut self, name: &str) -> Result<&mut Extension, String> {
        if !name.starts_with('_') {
            return Ok(self.exact.entry(name.to_owned()).or_default());
        }
        if let Some(at) = self.patterns.iter().position(|(known, ..)| known == name) {
            return Ok(&mut self.patterns[at].2);
        }
        let pattern: Pattern = plain_pattern(name).parse()?;
        let at = self.patterns.partition_point(|(_, other, _)| other.order(&pattern).is_le());
        self.patterns.insert(at, (name.to_owned(), pattern, Extension::default()));
        Ok(&mut self.patterns[at].2)
    }

    fn find(&self, number: &str) -> Option<&Extension> {
        let fits =
            |pattern: &Pattern| matches!(pattern.fit(number), Fit::Complete | Fit::AndGoesOn);
        let by_pattern = || self.patterns.iter().find(|(_, pattern, _)| fits(pattern));
        let has_steps = |extension: &&Extension| !extension.steps.is_empty();
        let exact = self.exact.get(number).filter(has_steps);
        exact.or_else(|| by_pattern().map(|(.., extension)| extension).filter(has_steps))
    }
}

/// `_20x-XXXX` without what only pleases the eye: signs of a pattern in capitals, hyphens outside
/// of brackets gone.
fn plain_pattern(name: &str) -> String {
    let mut in_set = false;
    let mut plain = String::new();
    for sign in name.chars() {
        match sign {
            '[' => in_set = true,
            ']' => in_set = false,
            '-' if !in_set => continue,
            _ => {}
        }
        plain.push(if matches!(sign, 'x' | 'z' | 'n') { sign.to_ascii_uppercase() } else { sign });
    }
    plain
}

/// An extension, and the context in which it stands.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The context that has it: the one asked for, or one it includes.
    pub context: &'a str,
    /// It.
    pub extension: &'a Extension,
}

/// All contexts.
#[derive(Clone, Debug, Default)]
pub struct Dialplan {
    /// By name.
    pub contexts: BTreeMap<String, Context>,
    /// Variables that all channels have.
    pub globals: BTreeMap<String, String>,
}

impl Dialplan {
    /// What a number does when it is dialled in a context.
    pub fn find(&self, context: &str, number: &str) -> Option<Found<'_>> {
        self.find_deep(context, number, INCLUDES_DEEP)
    }

    fn find_deep(&self, context: &str, number: &str, deep: usize) -> Option<Found<'_>> {
        let (name, context) = self.contexts.get_key_value(context)?;
        if let Some(extension) = context.find(number) {
            return Some(Found { context: name, extension });
        }
        let deeper = deep.checked_sub(1)?;
        context.includes.iter().find_map(|name| self.find_deep(name, number, deeper))
    }

    /// The step at a position.
    pub fn step(&self, position: &Position) -> Option<&Step> {
        let found = self.find(&position.context, &position.extension)?;
        found.extension.steps.get(&position.priority)
    }

    /// A position by its label or number; `None` where there is no such step.
    pub fn position(&self, context: &str, number: &str, start: Start<'_>) -> Option<Position> {
        let priority = self.find(context, number)?.extension.priority(start)?;
        Some(Position { priority, ..Position::start(context, number) })
    }

    /// The devices whose state is that of a number.
    pub fn hint(&self, context: &str, number: &str) -> Option<&str> {
        let context = self.contexts.get(context)?;
        let own = context.exact.get(number).and_then(|extension| extension.hint.as_deref());
        own.or_else(|| context.includes.iter().find_map(|name| self.hint(name, number)))
    }

    /// What digits dialled in a context mean so far.
    pub fn match_digits(&self, context: &str, digits: &str) -> Match {
        self.numbers(context).match_digits(digits, SystemTime::now())
    }

    /// The numbers of a context, those it includes too, as phones dial them.
    pub fn numbers(&self, context: &str) -> DialPlan {
        let mut plan = DialPlan::default();
        let target = Target::Plan(context.to_owned());
        self.add_numbers(context, &target, INCLUDES_DEEP, &mut plan);
        plan
    }

    fn add_numbers(&self, context: &str, target: &Target, deep: usize, plan: &mut DialPlan) {
        let Some(context) = self.contexts.get(context) else { return };
        let dialled =
            |name: &str| name.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'*' | b'#'));
        for (name, extension) in &context.exact {
            if dialled(name) && !extension.steps.is_empty() {
                plan.add(name, target.clone());
            }
        }
        for (_, pattern, _) in &context.patterns {
            plan.add_pattern(pattern.clone(), None, target.clone());
        }
        if let Some(deeper) = deep.checked_sub(1) {
            for name in &context.includes {
                self.add_numbers(name, target, deeper, plan);
            }
        }
    }
}
