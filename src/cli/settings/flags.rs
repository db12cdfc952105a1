//! The flags of the settings, made from the table.
//! Never checks a value: that is done alike for every source.

use super::{
    Problems, Resolved, Setting, Settings, Source, TABLE,
    file::PLACES,
    sources::{CONFIG, variable, variables_unread},
    value::Kind,
};
use crate::cli::logs;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, builder::PathBufValueParser};
use std::{collections::BTreeMap, path::PathBuf};

/// What the command line says.
#[derive(Debug, Default)]
pub(in crate::cli) struct Given {
    /// The file to read.
    pub(super) config: Option<PathBuf>,
    /// Settings by name.
    pub(super) texts: BTreeMap<&'static str, Vec<String>>,
}

/// A flag for each setting.
#[derive(Debug)]
pub(in crate::cli) struct Flags(Given);

/// The flag of the data directory, for the commands that need no other setting.
#[derive(Debug)]
pub(in crate::cli) struct DataDirectory(Given);

impl Flags {
    /// Every setting's value with its source.
    pub(in crate::cli) fn resolved(&self) -> Resolved {
        Resolved::new(&self.0, true)
    }

    /// The settings; logging has begun as they say.
    pub(in crate::cli) fn begin(&self) -> Result<Settings, Problems> {
        begin(self.resolved())
    }

    /// The same without a file, and whether somebody named a data directory.
    pub(in crate::cli) fn begin_without_file(&self) -> Result<(Settings, bool), Problems> {
        let resolved = Resolved::new(&self.0, false);
        let named = resolved.told("data_dir").is_some_and(|told| told.source != Source::Default);
        Ok((begin(resolved)?, named))
    }
}

impl DataDirectory {
    /// Every setting's value with its source.
    pub(in crate::cli) fn resolved(&self) -> Resolved {
        Resolved::new(&self.0, true)
    }

    /// The data directory; logging has begun as the settings say.
    pub(in crate::cli) fn begin(&self) -> Result<PathBuf, Problems> {
        begin(self.resolved()).map(|settings| settings.data_dir)
    }
}

fn begin(resolved: Resolved) -> Result<Settings, Problems> {
    let settings = resolved.settings()?;
    logs::begin(&settings);
    variables_unread().iter().for_each(|problem| tracing::warn!("{problem}"));
    Ok(settings)
}

impl Setting {
    fn argument(&self) -> Arg {
        let variable = variable(self.key);
        let shown = if self.default.is_empty() { "none" } else { self.default };
        let argument = Arg::new(self.key)
            .long(self.key.replace('_', "-"))
            .help(format!("{} [default: {shown}; variable: {variable}]", self.help.trim().replace('`', "")))
            .value_name(self.key.rsplit('_').next().unwrap_or(self.key).to_uppercase())
            .action(if self.many { ArgAction::Append } else { ArgAction::Set });
        match self.kind {
            // `--flag` alone says yes.
            Kind::Boolean => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            Kind::String | Kind::Integer if self.many => argument.value_delimiter(','),
            Kind::String | Kind::Integer => argument,
        }
    }
}

impl Given {
    fn arguments(command: Command, wanted: impl Fn(&Setting) -> bool) -> Command {
        let config =
            Arg::new(CONFIG).long(CONFIG).value_name("FILE").value_parser(PathBufValueParser::new()).help(format!(
                "The file of settings; otherwise {} where one is there [variable: {}]",
                PLACES.join(" or "),
                variable(CONFIG)
            ));
        command.arg(config).args(TABLE.iter().filter(|setting| wanted(setting)).map(Setting::argument))
    }

    fn of(matches: &ArgMatches) -> Self {
        let texts = TABLE.iter().filter_map(|setting| {
            let values = matches.try_get_many::<String>(setting.key).ok().flatten()?;
            Some((setting.key, values.cloned().collect()))
        });
        Self { config: matches.get_one::<PathBuf>(CONFIG).cloned(), texts: texts.collect() }
    }
}

/// Has clap take a struct's flags from the table.
macro_rules! from_table {
    ($name:ident, $wanted:expr) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                Given::arguments(command, $wanted)
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(Given::of(matches)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0 = Given::of(matches);
                Ok(())
            }
        }
    };
}

from_table!(Flags, |_| true);
from_table!(DataDirectory, |setting| setting.key == "data_dir");
