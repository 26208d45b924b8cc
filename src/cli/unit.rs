//! The text of a systemd unit. Pure.
//!
//! It holds no secret: a password stands in the environment file that the unit names, or is kept
//! with `login --save`. It may write to the data directory and the destinations, and nowhere else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first line of every unit of ours. A file without it is somebody else's, and stays.
pub(crate) const MARK: &str = "# Written by \"rollbook service install\".";

/// Whose manager runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// The machine's.
    System,
    /// That of one user, for as long as they are logged in or linger.
    User,
}

/// How it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One process that stays.
    Watch,
    /// A timer that starts one run after the other.
    Timer,
}

/// What a unit says.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Whose manager runs it.
    pub(crate) manager: Manager,
    /// How it runs.
    pub(crate) manner: Manner,
    /// How long to sleep between two runs.
    pub(crate) interval: Duration,
    /// The program.
    pub(crate) program: PathBuf,
    /// The user it runs as, where the machine's manager runs it.
    pub(crate) user: Option<String>,
    /// Settings, as variables.
    pub(crate) variables: Vec<(String, String)>,
    /// A file of more variables, which need not be there.
    pub(crate) environment_file: PathBuf,
    /// Where it may write, besides the destinations.
    pub(crate) data_dir: PathBuf,
    /// The destinations.
    pub(crate) directories: Vec<PathBuf>,
}

impl Unit {
    /// The service.
    pub(crate) fn service(&self) -> String {
        let mut text = self.head();
        let _ = writeln!(text, "\n[Service]");
        let program = quoted(&self.program).replace('$', "$$");
        match self.manner {
            Manner::Watch => {
                let seconds = self.interval.as_secs();
                let _ = writeln!(text, "Type=notify");
                let _ = writeln!(text, "ExecStart={program} sync --watch-with-interval {seconds}");
                // Now, and not in an hour: systemctl reload rollbook.
                let _ = writeln!(text, "ExecReload=/bin/kill -HUP $MAINPID");
                text.push_str(
                    "Restart=on-failure\nRestartSec=60\nRestartPreventExitStatus=2\nWatchdogSec=300\n",
                );
            }
            Manner::Timer => {
                let _ = writeln!(text, "Type=oneshot\nExecStart={program} sync");
            }
        }
        text.push_str("SuccessExitStatus=130\nTimeoutStopSec=30\n");
        if let Some(user) = &self.user {
            let _ = writeln!(text, "User={}", user.replace('%', "%%"));
        }
        for (name, value) in &self.variables {
            let _ = writeln!(text, "Environment=\"{name}={}\"", escaped(value));
        }
        let _ = writeln!(text, "EnvironmentFile=-{}", percent(&self.environment_file));
        self.walls(&mut text);
        if self.manner == Manner::Watch {
            let target = match self.manager {
                Manager::System => "multi-user.target",
                Manager::User => "default.target",
            };
            let _ = writeln!(text, "\n[Install]\nWantedBy={target}");
        }
        text
    }

    /// The timer, where one is wanted.
    pub(crate) fn timer(&self) -> Option<String> {
        if self.manner != Manner::Timer {
            return None;
        }
        let first = match self.manager {
            Manager::System => "OnBootSec=5min",
            Manager::User => "OnStartupSec=5min",
        };
        let seconds = self.interval.as_secs();
        Some(format!(
            "{MARK}\n[Unit]\nDescription=Sync iCloud Photos again and again\n\n[Timer]\n{first}\n\
             OnUnitInactiveSec={seconds}\nRandomizedDelaySec={}\n\n[Install]\nWantedBy=timers.target\n",
            seconds / 10
        ))
    }

    fn head(&self) -> String {
        let mut text = format!("{MARK}\n# \"systemctl edit rollbook\" is the place for changes.\n[Unit]\n");
        text.push_str("Description=rollbook keeps a complete copy of iCloud Photos\n");
        if self.manager == Manager::System {
            text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
            for directory in &self.directories {
                let _ = writeln!(text, "RequiresMountsFor={}", quoted(directory));
            }
        }
        text
    }

    /// What it may not do. A user's manager cannot take capabilities away, and needs a user
    /// namespace for the rest.
    fn walls(&self, text: &mut String) {
        text.push_str("NoNewPrivileges=true\nProtectSystem=strict\nProtectHome=read-only\n");
        for path in self.directories.iter().chain([&self.data_dir]) {
            let _ = writeln!(text, "ReadWritePaths={}", quoted(path));
        }
        text.push_str(
            "PrivateTmp=true\nProtectControlGroups=true\nProtectKernelTunables=true\n\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\nRestrictNamespaces=true\n\
             RestrictRealtime=true\nRestrictSUIDSGID=true\nLockPersonality=true\nMemoryDenyWriteExecute=true\n\
             SystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n",
        );
        match self.manager {
            Manager::User => text.push_str("PrivateUsers=true\n"),
            Manager::System => {
                text.push_str(
                    "PrivateDevices=true\nProtectClock=true\nProtectHostname=true\nProtectKernelLogs=true\n\
                     ProtectKernelModules=true\n",
                );
                // Root without capabilities could not write to the folders of others.
                if self.user.is_some() {
                    text.push_str("CapabilityBoundingSet=\n");
                }
            }
        }
    }
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", escaped(&path.to_string_lossy()))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

/// `EnvironmentFile` takes its path as it stands, without quotes.
fn percent(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(manager: Manager, manner: Manner) -> Unit {
        Unit {
            manager,
            manner,
            interval: Duration::from_secs(3600),
            program: PathBuf::from("/opt/a b/rollbook"),
            user: (manager == Manager::System).then(|| "anna".to_owned()),
            variables: vec![("ROLLBOOK_FOLDER_STRUCTURE".to_owned(), "%Y/\"x\"".to_owned())],
            environment_file: PathBuf::from("/etc/rollbook/environment"),
            data_dir: PathBuf::from("/var/lib/rollbook"),
            directories: vec![PathBuf::from("/photos of anna")],
        }
    }

    #[test]
    fn a_unit_quotes_what_people_may_call_things() {
        let text = unit(Manager::System, Manner::Watch).service();
        for line in [
            "ExecStart=\"/opt/a b/rollbook\" sync --watch-with-interval 3600",
            "Environment=\"ROLLBOOK_FOLDER_STRUCTURE=%%Y/\\\"x\\\"\"",
            "ReadWritePaths=\"/photos of anna\"",
            "RequiresMountsFor=\"/photos of anna\"",
            "User=anna",
            "CapabilityBoundingSet=",
        ] {
            assert!(text.lines().any(|of| of == line), "{line}\n{text}");
        }
        assert!(text.starts_with(MARK));
    }

    #[test]
    fn a_timer_starts_a_run_that_ends_and_a_users_unit_asks_for_no_more_than_it_gets() {
        let unit = unit(Manager::User, Manner::Timer);
        let (service, timer) = (unit.service(), unit.timer().unwrap());
        assert!(service.contains("Type=oneshot") && !service.contains("[Install]"));
        assert!(!service.contains("Capability") && !service.contains("User=anna"));
        assert!(timer.contains("OnUnitInactiveSec=3600\nRandomizedDelaySec=360\n"));
    }
}
