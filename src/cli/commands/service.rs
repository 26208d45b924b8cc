//! `rollbook service install` and `uninstall`: a systemd unit that keeps the copy up to date.
//!
//! The unit says what the settings of this very command line mean, so that what worked by hand
//! works there. It is written and made known; starting it is left to the person.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::answer::print;
use crate::cli::args::{Args, ServiceArgs};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::output;
use crate::cli::problem::Problem;
use crate::cli::settings::{self, PathFrom, Setting};
use crate::cli::unit::{MARK, Manager, Manner, Unit};
use crate::disk::{self, DataDir};

/// How often, unless somebody says.
const INTERVAL: Duration = Duration::from_secs(3600);
const SERVICE: &str = "rollbook.service";
const TIMER: &str = "rollbook.timer";
/// Where the machine's own units live.
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// Writes the unit, or prints it.
pub(super) fn install(args: &Args, config: &Config, environment: &Environment) -> Result<Exit, Problem> {
    let wanted = &args.service;
    let place = Place::of(wanted, environment)?;
    let unit = unit(args, config, environment, place.manager)?;
    let mut files = vec![(place.folder.join(SERVICE), unit.service())];
    files.extend(unit.timer().map(|timer| (place.folder.join(TIMER), timer)));
    if wanted.print {
        for (path, text) in files {
            print(&format!("# {}\n{}", output::sanitize(&path.to_string_lossy()), text.trim_end()))?;
        }
        return Ok(Exit::Done);
    }
    // The unit may write there, and a folder that is missing would keep it from starting.
    DataDir::create(&config.data_dir).map_err(explain::data_dir)?;
    for (path, text) in &files {
        disk::unit_file::write(path, text, MARK).map_err(|error| refused(path, error))?;
        print(&format!("wrote {}", output::sanitize(&path.to_string_lossy())))?;
    }
    let systemctl = place.systemctl();
    place.tell_systemd(&["daemon-reload"]);
    let name = if unit.manner == Manner::Timer { TIMER } else { SERVICE };
    print(&format!("start it with: {systemctl} enable --now {name}"))?;
    if place.manager == Manager::User {
        print("to keep it running while nobody is logged in: loginctl enable-linger")?;
    }
    if environment.get(&settings::PASSWORD.variable()).is_some() {
        let file = output::sanitize(&unit.environment_file.to_string_lossy()).into_owned();
        output::talk(&format!(
            "note: the password is not in the unit: run \"rollbook login --save\", or write ROLLBOOK_PASSWORD=… \
             to {file} (chmod 600)"
        ));
    }
    Ok(Exit::Done)
}

/// Stops and removes what `install` made, and nothing else.
pub(super) fn uninstall(args: &Args, environment: &Environment) -> Result<Exit, Problem> {
    let place = Place::of(&args.service, environment)?;
    let mut removed = 0;
    for name in [TIMER, SERVICE] {
        let path = place.folder.join(name);
        if !disk::unit_file::is_ours(&path, MARK).map_err(|error| refused(&path, error))? {
            continue;
        }
        place.tell_systemd(&["disable", "--now", name]);
        disk::unit_file::remove(&path, MARK).map_err(|error| refused(&path, error))?;
        print(&format!("removed {}", output::sanitize(&path.to_string_lossy())))?;
        removed += 1;
    }
    if removed == 0 {
        print(&format!("nothing to remove in {}", output::sanitize(&place.folder.to_string_lossy())))?;
    } else {
        place.tell_systemd(&["daemon-reload"]);
    }
    Ok(Exit::Done)
}

/// Where units go, and who is told.
struct Place {
    manager: Manager,
    folder: PathBuf,
    path: Option<OsString>,
}

impl Place {
    fn of(wanted: &ServiceArgs, environment: &Environment) -> Result<Self, Problem> {
        // For root the machine's manager, for anyone else their own, unless they say.
        let manager = match (wanted.system, wanted.user) {
            (true, _) => Manager::System,
            (_, true) => Manager::User,
            _ if disk::unit_file::is_root() => Manager::System,
            _ => Manager::User,
        };
        let folder = match manager {
            Manager::System => PathBuf::from(SYSTEM_UNITS),
            Manager::User => environment
                .xdg("XDG_CONFIG_HOME", ".config")
                .ok_or_else(|| {
                    Problem::new(Exit::Usage, "cannot find the folder of your units")
                        .hint("set HOME or XDG_CONFIG_HOME, or use --system")
                })?
                .join("systemd/user"),
        };
        let path = environment.get("PATH").map(OsString::from);
        Ok(Self { manager, folder, path })
    }

    fn systemctl(&self) -> &'static str {
        match self.manager {
            Manager::System => "systemctl",
            Manager::User => "systemctl --user",
        }
    }

    /// Tells systemd, if it is there. A container may have its commands and no manager behind them.
    fn tell_systemd(&self, args: &[&str]) {
        let mut command = Command::new("systemctl");
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        if self.manager == Manager::User {
            command.arg("--user");
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done = command.status().is_ok_and(|status| status.success());
        if !done {
            output::talk(&format!(
                "note: run this where systemd is: {} {}",
                self.systemctl(),
                args.join(" ")
            ));
        }
    }
}

fn unit(args: &Args, config: &Config, environment: &Environment, manager: Manager) -> Result<Unit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let program = std::env::current_exe().map_err(|error| explain::system("cannot find myself", &error))?;
    let config_file = said(&settings::CONFIG, args, environment)
        .or_else(|| settings::CONFIG.default(environment))
        .and_then(|path| environment.whole(&path).ok())
        .unwrap_or_default();
    let folder = config_file.parent().map(Path::to_owned).unwrap_or_default();
    let user = environment.get("SUDO_USER").or_else(|| environment.get("USER"));
    let user = user.and_then(|user| user.to_str()).filter(|user| *user != "root").map(str::to_owned);
    Ok(Unit {
        manager,
        manner: if args.service.timer { Manner::Timer } else { Manner::Watch },
        interval: config.watch_with_interval.unwrap_or(INTERVAL),
        program,
        user: user.filter(|_| manager == Manager::System),
        variables: variables(args, config, environment, &config_file)?,
        environment_file: folder.join("environment"),
        data_dir: config.data_dir.clone(),
        directories: settings.iter().map(|of| of.directory.clone()).collect(),
    })
}

/// What the command line and the environment say, as variables; never the password.
fn variables(
    args: &Args,
    config: &Config,
    environment: &Environment,
    config_file: &Path,
) -> Result<Vec<(String, String)>, Problem> {
    let mut variables = Vec::new();
    for setting in settings::ALL {
        let value = match setting.key {
            key if key == settings::PASSWORD.key || key == settings::WATCH_WITH_INTERVAL.key => continue,
            // Where things are must not depend on who starts it.
            key if key == settings::DATA_DIR.key => Some(config.data_dir.clone().into()),
            key if key == settings::CONFIG.key && config_file.exists() => Some(config_file.into()),
            _ => said(setting, args, environment),
        };
        let Some(value) = value else { continue };
        let value = match setting.path {
            PathFrom::Here => environment.whole(&value).map_or(value, OsString::from),
            PathFrom::Nowhere | PathFrom::Destination => value,
        };
        match value.to_str() {
            Some(text) if !text.contains('\n') => variables.push((setting.variable(), text.to_owned())),
            _ => {
                return Err(Problem::new(Exit::Usage, format!("cannot put {:?} into a unit", setting.key))
                    .why("it is not one line of UTF-8")
                    .hint("set it in the configuration file"));
            }
        }
    }
    Ok(variables)
}

/// What stands on the command line or in the environment.
fn said(setting: &Setting, args: &Args, environment: &Environment) -> Option<OsString> {
    let variable = || environment.get(&setting.variable()).map(OsString::from);
    args.flags.get(setting.key).cloned().or_else(variable)
}

fn refused(path: &Path, error: std::io::Error) -> Problem {
    let problem = Problem::new(Exit::Usage, format!("cannot change {}", path.display()));
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => problem
            .why("it is not a unit that rollbook wrote")
            .hint("move it elsewhere, or print ours with: rollbook service install --print"),
        _ => problem.why(error).hint("run it as root, or with --user; --print only shows the unit"),
    }
}
