//! What splunkd asks of this process, read from its arguments.

use std::ffi::OsString;

use crate::microsoft::cloud::What;

/// The modes of the executable; exactly these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `--scheme`: print what inputs can be set.
    Scheme,
    /// `--validate-arguments`: check an input that is being saved.
    Validate,
    /// No argument: collect.
    Stream,
    /// `--execute <action>`: carry out an alert action.
    Execute(Action),
    /// `--rest`: answer the requests that splunkd passes on, until it closes standard input.
    Rest,
    /// `--version`.
    Version,
}

/// The alert actions of this add-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `defender_incident_update`.
    IncidentUpdate,
    /// `defender_alert_update`.
    AlertUpdate,
}

impl Action {
    /// Both.
    pub const ALL: [Self; 2] = [Self::IncidentUpdate, Self::AlertUpdate];

    /// The name of its stanza in `alert_actions.conf`.
    pub fn name(self) -> &'static str {
        match self {
            Self::IncidentUpdate => "defender_incident_update",
            Self::AlertUpdate => "defender_alert_update",
        }
    }

    /// The objects it changes.
    pub fn what(self) -> What {
        match self {
            Self::IncidentUpdate => What::Incidents,
            Self::AlertUpdate => What::Alerts,
        }
    }
}

/// Printed for any other arguments.
pub const USAGE: &str = "usage: defender [--scheme | --validate-arguments | --execute <action> | --rest | --version]
splunkd starts this program; without an argument it collects the input described on standard input
actions: defender_incident_update, defender_alert_update";

impl Mode {
    /// Reads the arguments after the program's name. `None` for anything but the modes there are.
    ///
    /// splunkd versions differ in whether they add an `--execute` of their own to the configured one, and where: it may
    /// stand anywhere and more than once.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let arguments: Option<Vec<String>> = arguments.into_iter().map(|argument| argument.into_string().ok()).collect();
        let arguments = arguments?;
        let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--execute").collect();
        let executes = words.len() < arguments.len();
        match (executes, words.as_slice()) {
            (false, []) => Some(Self::Stream),
            (false, ["--scheme"]) => Some(Self::Scheme),
            (false, ["--validate-arguments"]) => Some(Self::Validate),
            (false, ["--rest"]) => Some(Self::Rest),
            (false, ["--version"]) => Some(Self::Version),
            (true, [name]) => Action::ALL.into_iter().find(|action| action.name() == *name).map(Self::Execute),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_modes_there_are() {
        let table: [(&[&str], Option<Mode>); 16] = [
            (&[], Some(Mode::Stream)),
            (&["--scheme"], Some(Mode::Scheme)),
            (&["--validate-arguments"], Some(Mode::Validate)),
            (&["--version"], Some(Mode::Version)),
            (&["--execute", "defender_alert_update"], Some(Mode::Execute(Action::AlertUpdate))),
            (&["--execute", "--execute", "defender_incident_update"], Some(Mode::Execute(Action::IncidentUpdate))),
            (&["defender_incident_update", "--execute"], Some(Mode::Execute(Action::IncidentUpdate))),
            (&["--execute"], None),
            (&["--execute", "other"], None),
            (&["--execute", "defender_alert_update", "more"], None),
            (&["--rest"], Some(Mode::Rest)),
            (&["--rest", "--execute"], None),
            (&["--rest", "more"], None),
            (&["--scheme", "--scheme"], None),
            (&["-h"], None),
            (&["defender_alert_update"], None),
        ];
        for (arguments, mode) in table {
            assert_eq!(Mode::read(arguments.iter().map(OsString::from)), mode, "{arguments:?}");
        }
    }
}
