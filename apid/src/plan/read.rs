//! From files to a plan. What is not understood is refused with file, line and reason: a plan that
//! was half read would do something else than what stands there.

use super::dialplan::{Dialplan, Step};
use super::functions::FUNCTIONS;
use super::line::{Comments, LINE_MAX, Line, split};
use super::names::application;
use std::path::{Path, PathBuf};

/// Largest file, octets.
const FILE_MAX: u64 = 1024 * 1024;
/// Files of one plan.
const FILES_MAX: usize = 64;
/// Files that include each other.
const DEEP: usize = 8;
/// Steps of one plan.
const STEPS_MAX: usize = 50_000;
/// Highest priority.
const PRIORITY_MAX: u32 = 10_000;
/// Settings of `[general]` that ask for nothing else than what is done anyway.
const GENERAL: [&str; 6] = [
    "static",
    "writeprotect",
    "autofallthrough",
    "extenpatternmatchnew",
    "clearglobalvars",
    "userscontext",
];

/// Why a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Which file.
    pub file: PathBuf,
    /// Its line, from 1; 0 is the file as a whole.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for PlanError {}

/// Reads a plan and the files it includes, which must be in its folder. Reads files: not for an
/// asynchronous thread.
///
/// # Errors
/// [`PlanError`].
pub fn read(file: &Path) -> Result<Dialplan, PlanError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let mut reader = Reader { folder, ..Reader::default() };
    reader.file(file, 0)?;
    reader.finish(file)
}

/// A plan that stands in `text` alone; `file` is for messages only.
///
/// # Errors
/// [`PlanError`]; `#include` is refused.
pub fn read_text(text: &str, file: &Path) -> Result<Dialplan, PlanError> {
    let mut reader = Reader { alone: true, ..Reader::default() };
    reader.text(text, file, 0)?;
    reader.finish(file)
}

#[derive(Debug, Default)]
struct Reader {
    plan: Dialplan,
    folder: PathBuf,
    alone: bool,
    files: usize,
    steps: usize,
    section: Option<String>,
    /// Extension and priority of the last step.
    last: Option<(String, u32)>,
    /// Where contexts were included, to be checked when all are known.
    included: Vec<(PathBuf, usize, String)>,
}

impl Reader {
    fn file(&mut self, file: &Path, deep: usize) -> Result<(), PlanError> {
        let refuse = |reason: String| PlanError { file: file.to_owned(), line: 0, reason };
        self.files += 1;
        if self.files > FILES_MAX || deep > DEEP {
            return Err(refuse(format!("too many files: {FILES_MAX} at most, {DEEP} deep")));
        }
        let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > FILE_MAX {
            return Err(refuse(format!("no file of at most {FILE_MAX} octets")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
        self.text(&text, file, deep)
    }

    fn text(&mut self, text: &str, file: &Path, deep: usize) -> Result<(), PlanError> {
        let mut comments = Comments::default();
        for (number, line) in (1..).zip(text.lines()) {
            let at = |reason: String| PlanError { file: file.to_owned(), line: number, reason };
            if line.len() > LINE_MAX {
                return Err(at(format!("longer than {LINE_MAX} octets")));
            }
            let line = comments.strip(line);
            match split(&line).map_err(&at)? {
                Line::Nothing => {}
                Line::Section(name) => {
                    self.section = Some(name.to_owned());
                    self.last = None;
                    if !matches!(name, "general" | "globals") {
                        self.plan.contexts.entry(name.to_owned()).or_default();
                    }
                }
                Line::Directive("include", name) => {
                    let path = self.beside(name).map_err(&at)?;
                    self.file(&path, deep + 1)?;
                }
                Line::Directive(name, _) => {
                    return Err(at(format!("`#{name}` is refused; allowed is #include")));
                }
                Line::Assignment(key, value) => {
                    let place = (file, number);
                    self.assignment(key, value, place).map_err(&at)?;
                }
            }
        }
        Ok(())
    }

    /// A file to be included: of the plan's folder, and not by a link out of it.
    fn beside(&self, name: &str) -> Result<PathBuf, String> {
        let name = name.trim_matches(['"', '<', '>']);
        let outside = || format!("`{name}` is not in the plan's folder");
        if self.alone {
            return Err("there is no folder to include files from".to_owned());
        }
        let plain =
            Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if name.is_empty() || !plain {
            return Err(outside());
        }
        let real = |path: &Path| path.canonicalize().map_err(|error| format!("`{name}`: {error}"));
        let (root, path) = (real(&self.folder)?, real(&self.folder.join(name))?);
        if path.starts_with(&root) { Ok(self.folder.join(name)) } else { Err(outside()) }
    }

    fn assignment(&mut self, key: &str, value: &str, place: (&Path, usize)) -> Result<(), String> {
        let section = self.section.clone().ok_or("before any [section]")?;
        match section.as_str() {
            "general" if GENERAL.contains(&key) => Ok(()),
            "general" => {
                Err(format!("`{key}` has no meaning here; allowed are {}", GENERAL.join(", ")))
            }
            "globals" => {
                let known = key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
                if key.is_empty() || !known {
                    return Err(format!("`{key}` is no name of a variable"));
                }
                self.plan.globals.insert(key.to_owned(), value.to_owned());
                Ok(())
            }
            _ => match key {
                "exten" => self.exten(&section, value),
                "same" => {
                    let (name, _) = self.last.clone().ok_or("`same` before any `exten`")?;
                    self.step(&section, &name, value)
                }
                "include" => {
                    self.included.push((place.0.to_owned(), place.1, value.to_owned()));
                    let context = self.plan.contexts.entry(section).or_default();
                    context.includes.push(value.to_owned());
                    Ok(())
                }
                other => Err(format!("`{other}` is not built; allowed are exten, same, include")),
            },
        }
    }

    fn exten(&mut self, context: &str, value: &str) -> Result<(), String> {
        let (name, rest) = value.split_once(',').ok_or("`exten` is NUMBER,PRIORITY,APPLICATION")?;
        let name = name.trim();
        if name.contains('/') {
            return Err("extensions for certain callers only are not built".to_owned());
        }
        if name.is_empty() || name.len() > 80 || name.contains(char::is_whitespace) {
            return Err(format!("`{name}` is no extension"));
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != name) {
            self.last = Some((name.to_owned(), 0));
        }
        self.step(context, name, rest)
    }

    fn step(&mut self, context: &str, name: &str, rest: &str) -> Result<(), String> {
        let form = "a step is PRIORITY[(LABEL)],APPLICATION(ARGUMENTS)";
        let (priority, call) = rest.split_once(',').ok_or(form)?;
        let (priority, label) = match priority.trim().split_once('(') {
            Some((priority, label)) => {
                let label = label.strip_suffix(')').filter(|l| !l.is_empty()).ok_or(form)?;
                (priority.trim(), Some(label.trim().to_owned()))
            }
            None => (priority.trim(), None),
        };
        let contexts = &mut self.plan.contexts;
        let extension = contexts.entry(context.to_owned()).or_default().extension_mut(name)?;
        if priority.eq_ignore_ascii_case("hint") {
            extension.hint = Some(call.trim().to_owned());
            return Ok(());
        }
        let last = self.last.as_ref().map_or(0, |(_, last)| *last);
        let number = number_of(priority, last)?;
        let step = step_of(call.trim(), label)?;
        if let Some(other) = &step.label
            && extension.steps.values().any(|known| known.label.as_ref() == Some(other))
        {
            return Err(format!("the label `{other}` stands twice in `{name}`"));
        }
        if extension.steps.insert(number, step).is_some() {
            return Err(format!("priority {number} of `{name}` stands twice"));
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("more than {STEPS_MAX} steps"));
        }
        self.last = Some((name.to_owned(), number));
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<Dialplan, PlanError> {
        for (file, line, name) in self.included {
            if !self.plan.contexts.contains_key(&name) {
                let reason = format!("there is no context `{name}` to include");
                return Err(PlanError { file, line, reason });
            }
        }
        if self.plan.contexts.is_empty() {
            let reason = "there is no context in it".to_owned();
            return Err(PlanError { file: file.to_owned(), line: 0, reason });
        }
        Ok(self.plan)
    }
}

/// A priority: a number, `n` for the next, `s` for the same as the last, `n+2` for one further on.
fn number_of(text: &str, last: u32) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no priority: allowed are 1 to {PRIORITY_MAX}, n, s, hint");
    let after = |rest: &str| match rest.strip_prefix('+') {
        None if rest.is_empty() => Some(0),
        None => None,
        Some(more) => more.parse::<u32>().ok(),
    };
    let number = if let Some(rest) = text.strip_prefix('n') {
        if last == 0 {
            return Err("`n` before any priority; the first one is 1".to_owned());
        }
        after(rest).and_then(|more| last.checked_add(1)?.checked_add(more))
    } else if let Some(rest) = text.strip_prefix('s') {
        after(rest).and_then(|more| last.checked_add(more))
    } else {
        text.parse().ok()
    };
    number.filter(|number| (1..=PRIORITY_MAX).contains(number)).ok_or_else(wrong)
}

fn step_of(call: &str, label: Option<String>) -> Result<Step, String> {
    let (name, data) = match call.split_once('(') {
        Some((name, rest)) => {
            let data = rest.strip_suffix(')').ok_or("a `(` is not closed at the end")?;
            (name.trim(), data)
        }
        None => (call, ""),
    };
    if !is_balanced(data) {
        return Err("`${…}` or `$[…]` is not closed".to_owned());
    }
    if let Some(unknown) = functions_in(data).find(|name| !FUNCTIONS.contains(name)) {
        let known = FUNCTIONS.join(", ");
        return Err(format!("`{unknown}` is no function; there are {known}"));
    }
    Ok(Step { application: application(name)?, data: data.to_owned(), label })
}

/// Names of the functions whose values stand in it.
fn functions_in(data: &str) -> impl Iterator<Item = &str> {
    data.split("${").skip(1).filter_map(|rest| {
        let end = rest.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')?;
        (end > 0 && rest[end..].starts_with('(')).then_some(&rest[..end])
    })
}

/// Every `${` and `$[` has its end.
fn is_balanced(data: &str) -> bool {
    let mut open = Vec::new();
    let mut signs = data.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, signs.peek()) {
            ('$', Some('{')) => open.push('}'),
            ('$', Some('[')) => open.push(']'),
            _ if open.last() == Some(&sign) => {
                open.pop();
            }
            _ => {}
        }
    }
    open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::{Position, Start};
    use super::*;
    use crate::call::{Match, Target};

    fn plan(text: &str) -> Result<Dialplan, String> {
        read_text(text, Path::new("extensions.conf")).map_err(|error| error.to_string())
    }

    const HOUSE: &str = "\
[general]
static = yes
[globals]
OPERATOR => SIP/201
[default]
include => further
exten => 401,1(top),Answer
 same => n,Playback(silence/1&hello-world&silence/1) ; heard
 same => n(out),Hangup()
exten => 201,hint,SIP/201
exten => _20x,1,Dial(SIP/${EXTEN},30,t)
exten => _2-0[1-2],1,NoOp(special)
exten => s,1,NoOp($[1 + 2])
[further]
exten => 500,1,Goto(default,401,out)
exten => _9.,1,NoOp()
";

    #[test]
    fn contexts_extensions_priorities_and_labels() {
        let plan = plan(HOUSE).unwrap();
        assert_eq!(plan.globals["OPERATOR"], "SIP/201");
        let position = plan.position("default", "401", Start::Label("out")).unwrap();
        assert_eq!(position, Position { priority: 3, ..Position::start("default", "401") });
        let step = plan.step(&position).unwrap();
        assert_eq!((step.application, step.data.as_str()), ("Hangup", ""));
        let second = Position { priority: 2, ..position };
        assert_eq!(plan.step(&second).unwrap().data, "silence/1&hello-world&silence/1");
        assert_eq!(plan.hint("default", "201"), Some("SIP/201"));
        let found =
            |number: &str| plan.find("default", number).map(|f| f.extension.steps[&1].clone());
        assert_eq!(found("202").unwrap().data, "special", "what takes less goes before");
        assert_eq!(found("203").unwrap().application, "Dial");
        assert_eq!(found("500").unwrap().application, "Goto");
        assert_eq!(found("s").unwrap().data, "$[1 + 2]");
        assert!(found("600").is_none());
    }

    #[test]
    fn the_numbers_of_a_context_are_dialled_as_any_other() {
        let plan = plan(HOUSE).unwrap();
        let target = Target::Plan("default".to_owned());
        assert_eq!(plan.match_digits("default", "40"), Match::Incomplete);
        assert_eq!(plan.match_digits("default", "401"), Match::Complete(target.clone()));
        assert_eq!(plan.match_digits("default", "92"), Match::MayGoOn(target.clone()));
        assert_eq!(plan.match_digits("default", "500"), Match::Complete(target));
        assert_eq!(plan.match_digits("default", "7"), Match::Unknown);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("exten => 1,1,NoOp()", 1, "before any"),
            ("[a]\nexten => 1,1,Fly()", 2, "no application"),
            ("[a]\nexten => 1,1,System(ls)", 2, "not run"),
            ("[a]\nexten => 1,1,MeetMe(1)", 2, "use ConfBridge"),
            ("[a]\nexten => 1,n,NoOp()", 2, "first one is 1"),
            ("[a]\nexten => 1,x,NoOp()", 2, "no priority"),
            ("[a]\nexten => 1,0,NoOp()", 2, "no priority"),
            ("[a]\nexten => 1,99999,NoOp()", 2, "no priority"),
            ("[a]\nexten => 1,1,NoOp()\nexten => 1,1,NoOp()", 3, "twice"),
            ("[a]\nexten => 1,1(x),NoOp()\nsame => n(x),NoOp()", 3, "twice"),
            ("[a]\nexten => 1,1,NoOp(", 2, "not closed"),
            ("[a]\nexten => 1,1,NoOp(${X)", 2, "not closed"),
            ("[a]\nexten => 1,1,NoOp(${SHELL(ls)})", 2, "no function"),
            ("[a]\nexten => 1,1", 2, "a step is"),
            ("[a]\nexten => 1", 2, "`exten` is"),
            ("[a]\nexten => _Q,1,NoOp()", 2, "no pattern"),
            ("[a]\nexten => 1/2,1,NoOp()", 2, "certain callers"),
            ("[a]\nsame => n,NoOp()", 2, "before any `exten`"),
            ("[a]\ninclude => b", 2, "no context `b`"),
            ("[a]\nswitch => x", 2, "not built"),
            ("[a]\n#exec x", 2, "refused"),
            ("[a]\n#include x", 2, "no folder"),
            ("[general]\nfast = yes", 2, "no meaning"),
            ("[globals]\na b = 1", 2, "no name"),
            ("", 0, "no context"),
        ] {
            let error = read_text(text, Path::new("e.conf")).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.reason.contains(reason), "{text}: {error}");
        }
        let error = plan("[a]\nexten => 1,1,Fly()").unwrap_err();
        assert!(error.starts_with("extensions.conf:2: "), "{error}");
        let long = format!("[a]\nexten => 1,1,NoOp({})", "x".repeat(LINE_MAX));
        assert!(plan(&long).unwrap_err().contains("longer"));
    }

    #[test]
    fn files_are_included_from_the_plans_folder_only() {
        let folder = std::env::temp_dir().join(format!("tipring-plan-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("more")).unwrap();
        let main = folder.join("extensions.conf");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("more/own.conf", "[own]\nexten => 7,1,NoOp()\n");
        write("extensions.conf", "#include \"more/own.conf\"\n[default]\ninclude => own\n");
        assert!(read(&main).unwrap().find("default", "7").is_some());
        let _ = std::os::unix::fs::symlink("/etc/hostname", folder.join("link.conf"));
        for outside in ["../x.conf", "/etc/passwd", "link.conf", ""] {
            write("extensions.conf", &format!("[a]\n#include \"{outside}\"\n"));
            let error = read(&main).unwrap_err();
            assert_eq!(error.line, 2, "{outside}: {error}");
        }
        write("extensions.conf", "#include extensions.conf\n");
        assert!(read(&main).unwrap_err().reason.contains("too many files"));
        write("more/own.conf", "[own]\nexten => 7,1,Fly()\n");
        write("extensions.conf", "#include more/own.conf\n");
        let error = read(&main).unwrap_err();
        assert!(error.file.ends_with("more/own.conf") && error.line == 2, "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
