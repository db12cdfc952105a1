//! Where values come from: flags before variables, before the file, before the default; and what is wrong with them.
//! Never stops at the first thing that is wrong.

use super::{Setting, Settings, TABLE, file, flags::Given, setting, value::Value};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// What every variable of ours begins with.
const PREFIX: &str = "COUNTERSIGN_";
/// What names the file: a flag and a variable, but no line of it.
pub(super) const CONFIG: &str = "config";

/// How the environment is called where something in it is wrong.
const ENVIRONMENT: &str = "the environment";
const COMMAND_LINE: &str = "the command line";
const DEFAULT: &str = "the default";

/// The variable that a setting is read from.
pub(in crate::cli) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Source {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The file: its name, line and column.
    File(String),
    /// Nobody said anything.
    Default,
}

/// What is wrong with the configuration, one sentence for each thing.
#[derive(Debug)]
pub(in crate::cli) struct Problems(pub(in crate::cli) Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug)]
pub(in crate::cli) struct Problem {
    /// Where: the command line, the environment, or the file with line and column.
    pub(in crate::cli) place: String,
    pub(in crate::cli) what: String,
    pub(in crate::cli) remedy: String,
}

impl Problem {
    pub(super) fn new(place: String, what: String, remedy: &str) -> Self {
        Self { place, what, remedy: remedy.to_owned() }
    }

    /// A value that cannot be read.
    pub(super) fn value(place: String, name: &str, texts: &[String], why: &str) -> Self {
        Self::new(place, format!("{name} is {:?}: {why}", texts.join(",")), "correct or remove it")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// What a setting was told, and by whom.
pub(in crate::cli) struct Told {
    pub(in crate::cli) texts: Vec<String>,
    pub(in crate::cli) source: Source,
}

/// Every setting's value with its source.
pub(in crate::cli) struct Resolved {
    /// The file that was read.
    pub(in crate::cli) file: Option<PathBuf>,
    told: BTreeMap<&'static str, Told>,
    /// What is wrong with what was told; such values are left out.
    pub(in crate::cli) problems: Vec<Problem>,
}

impl Resolved {
    /// Looks at every source, those that are overruled too; `with_file` says whether a file is one.
    pub(super) fn new(given: &Given, with_file: bool) -> Self {
        let mut problems = vec![];
        let mut told = BTreeMap::new();
        let mut tell = |setting: &'static Setting, texts, source| {
            told.insert(setting.key, Told { texts, source });
        };
        TABLE.iter().for_each(|setting| tell(setting, split(setting, setting.default), Source::Default));
        let file = if with_file { file_name(given.config.as_deref()) } else { None };
        if let Some(path) = &file {
            let (lines, wrong) = file::read(path);
            problems.extend(wrong);
            lines.into_iter().for_each(|line| tell(line.setting, line.texts, Source::File(line.place)));
        }
        for setting in TABLE {
            let Some(text) = std::env::var_os(variable(setting.key)) else { continue };
            let texts = split(setting, &text.to_string_lossy());
            match (setting.check)(&texts) {
                Ok(()) => tell(setting, texts, Source::Variable),
                Err(why) => {
                    problems.push(Problem::value(ENVIRONMENT.to_owned(), &variable(setting.key), &texts, &why));
                }
            }
        }
        for (key, texts) in &given.texts {
            let Some(setting) = setting(key) else { continue };
            match (setting.check)(texts) {
                Ok(()) => tell(setting, texts.clone(), Source::Flag),
                Err(why) => problems.push(Problem::value(COMMAND_LINE.to_owned(), &flag(key), texts, &why)),
            }
        }
        Self { file, told, problems }
    }

    /// What a setting was told.
    pub(in crate::cli) fn told(&self, key: &str) -> Option<&Told> {
        self.told.get(key)
    }

    pub(super) fn value<T: Value>(&self, key: &str) -> Result<T, Problem> {
        let texts = self.told(key).map(|told| told.texts.as_slice()).unwrap_or_default();
        T::read(texts).map_err(|why| Problem::value(DEFAULT.to_owned(), key, texts, &why))
    }

    /// The values, each of its type.
    pub(in crate::cli) fn settings(self) -> Result<Settings, Problems> {
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        let settings = Settings::of(&self).map_err(|problem| Problems(vec![problem]))?;
        let wrong = settings.wrong_together().into_iter();
        let problems: Vec<_> = wrong.map(|(key, what, remedy)| Problem::new(self.place(key), what, remedy)).collect();
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }

    /// Where somebody told a setting.
    fn place(&self, key: &str) -> String {
        match self.told(key).map(|told| &told.source) {
            Some(Source::Flag) => COMMAND_LINE.to_owned(),
            Some(Source::Variable) => ENVIRONMENT.to_owned(),
            Some(Source::File(place)) => place.clone(),
            Some(Source::Default) | None => DEFAULT.to_owned(),
        }
    }

    /// The data directory, whatever is wrong with the other settings.
    pub(in crate::cli) fn data_dir(&self) -> PathBuf {
        self.value("data_dir").unwrap_or_default()
    }
}

/// The flag of a setting.
pub(in crate::cli) fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// The file that is read: the one that a flag or the variable names, or the first that is there.
pub(in crate::cli) fn file_name(flag: Option<&Path>) -> Option<PathBuf> {
    let named = flag.map(Path::to_path_buf);
    named
        .or_else(|| std::env::var_os(variable(CONFIG)).filter(|name| !name.is_empty()).map(PathBuf::from))
        .or_else(file::found)
}

/// A text of the environment: a list's values are separated by commas.
fn split(setting: &Setting, text: &str) -> Vec<String> {
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    if setting.many { parts().collect() } else { vec![text.to_owned()] }
}

/// The name that is most like a misspelt one.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> &'a str {
    names.min_by_key(|one| strsim::damerau_levenshtein(one, name)).unwrap_or_default()
}

/// The variables of ours that are set and that nothing reads: a misspelt one would be silently without effect.
pub(in crate::cli) fn variables_unread() -> Vec<Problem> {
    let mut known: Vec<String> = TABLE.iter().map(|setting| variable(setting.key)).collect();
    known.push(variable(CONFIG));
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unread = set.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    let told = |name: String| {
        let remedy = format!("did you mean {}?", nearest(&name, known.iter().map(String::as_str)));
        Problem::new(ENVIRONMENT.to_owned(), format!("{name} is set, and nothing reads it"), &remedy)
    };
    unread.map(told).collect()
}
