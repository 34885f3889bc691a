//! Processes: what ran, from where, with which command line.

use super::{Scene, Values};
use crate::json::Json;

/// A program on disk.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) command: String,
    company: &'static str,
    product: &'static str,
    pub(super) description: &'static str,
}

/// Name, path, command line, company, product, description.
const PROGRAMS: [(&str, &str, &str, &str, &str, &str); 6] = [
    (
        "powershell.exe",
        r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
        r#""powershell.exe" -NoProfile -File "C:\Users\müller\Skripte\bericht.ps1""#,
        "Microsoft Corporation",
        "Microsoft® Windows® Operating System",
        "Windows PowerShell",
    ),
    (
        "cmd.exe",
        r"C:\Windows\System32\cmd.exe",
        r#"cmd.exe /c "whoami /all > %TEMP%\out.txt""#,
        "Microsoft Corporation",
        "Microsoft® Windows® Operating System",
        "Windows Command Processor",
    ),
    (
        "winword.exe",
        r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE",
        r#""WINWORD.EXE" /n "C:\Users\佐藤\Documents\請求書.docm" /o """#,
        "Microsoft Corporation",
        "Microsoft Office",
        "Microsoft Word",
    ),
    (
        "chrome.exe",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r#""chrome.exe" --type=utility --utility-sub-type=network.mojom.NetworkService --lang=de"#,
        "Google LLC",
        "Google Chrome",
        "Google Chrome",
    ),
    (
        "rundll32.exe",
        r"C:\Windows\System32\rundll32.exe",
        r"rundll32.exe C:\ProgramData\upd.dll,#1",
        "Microsoft Corporation",
        "Microsoft® Windows® Operating System",
        "Windows host process (Rundll32)",
    ),
    ("sshd", "/usr/sbin/sshd", "/usr/sbin/sshd -D -R", "", "", ""),
];

/// Hidden work, long enough to push what follows it in the record beyond what Splunk extracts by itself.
const ENCODED: usize = 6_000;

impl Scene<'_> {
    pub(super) fn program(&mut self) -> Program {
        let (name, path, command, company, product, description) = self.pick(&PROGRAMS);
        let command = match name {
            "powershell.exe" if self.chance.percent(40) => {
                format!("powershell.exe -nop -w hidden -EncodedCommand {}", self.chance.hex(ENCODED))
            }
            _ => command.to_owned(),
        };
        Program { name, path, command, company, product, description }
    }

    /// The three hashes, by the names of the columns.
    pub(super) fn hashes(&mut self) -> Values {
        vec![("SHA1", self.chance.hex(40).into()), ("SHA256", self.chance.hex(64).into()), ("MD5", self.chance.hex(32).into())]
    }

    /// The columns about the process that did it.
    pub(super) fn initiating(&mut self) -> Values {
        let program = self.program();
        let system = self.chance.percent(30);
        let (account, domain, sid) = match system {
            true => ("system".to_owned(), "nt authority".to_owned(), "S-1-5-18".to_owned()),
            false => (self.person.name.clone(), self.person.domain.to_lowercase(), self.person.sid.clone()),
        };
        let known = |text: &str| if text.is_empty() { Json::Null } else { Json::from(text) };
        let parent = self.pick(&["explorer.exe", "services.exe", "outlook.exe", "systemd"]);
        vec![
            ("InitiatingProcessFileName", program.name.into()),
            ("InitiatingProcessFolderPath", program.path.to_lowercase().into()),
            ("InitiatingProcessCommandLine", (&program.command).into()),
            ("InitiatingProcessVersionInfoCompanyName", known(program.company)),
            ("InitiatingProcessVersionInfoProductName", known(program.product)),
            ("InitiatingProcessVersionInfoProductVersion", known(if program.company.is_empty() { "" } else { "10.0.26100.1" })),
            ("InitiatingProcessVersionInfoInternalFileName", known(if program.company.is_empty() { "" } else { program.name })),
            ("InitiatingProcessVersionInfoOriginalFileName", known(if program.company.is_empty() { "" } else { program.name })),
            ("InitiatingProcessVersionInfoFileDescription", known(program.description)),
            ("InitiatingProcessSHA1", self.chance.hex(40).into()),
            ("InitiatingProcessSHA256", self.chance.hex(64).into()),
            ("InitiatingProcessMD5", self.chance.hex(32).into()),
            ("InitiatingProcessFileSize", (40_000 + self.chance.below(9_000_000) as i64).into()),
            ("InitiatingProcessId", (4 + self.chance.below(60_000) as i64).into()),
            ("InitiatingProcessCreationTime", self.earlier(4_000)),
            ("InitiatingProcessUniqueId", self.chance.below(u64::MAX).to_string().into()),
            ("InitiatingProcessParentId", (4 + self.chance.below(60_000) as i64).into()),
            ("InitiatingProcessParentFileName", parent.into()),
            ("InitiatingProcessParentCreationTime", self.earlier(90_000)),
            ("InitiatingProcessIntegrityLevel", (if system { "System" } else { "Medium" }).into()),
            ("InitiatingProcessTokenElevation", "TokenElevationTypeDefault".into()),
            ("InitiatingProcessSignatureStatus", "Valid".into()),
            ("InitiatingProcessSignerType", "OsVendor".into()),
            ("InitiatingProcessLogonId", (if system { 999 } else { self.chance.below(9_000_000) as i64 }).into()),
            ("InitiatingProcessAccountName", account.into()),
            ("InitiatingProcessAccountDomain", domain.into()),
            ("InitiatingProcessAccountSid", sid.into()),
            ("InitiatingProcessAccountUpn", if system { Json::Null } else { (&self.person.principal).into() }),
            ("InitiatingProcessAccountObjectId", if system { Json::Null } else { (&self.person.object_id).into() }),
            ("IsInitiatingProcessRemoteSession", false.into()),
        ]
    }

    /// The columns about the process that came to be: its program, its account.
    pub(super) fn created(&mut self) -> Values {
        let program = self.program();
        let known = |text: &str| if text.is_empty() { Json::Null } else { Json::from(text) };
        let mut values = self.hashes();
        values.extend(self.person_values());
        values.extend([
            ("FileName", program.name.into()),
            ("FolderPath", program.path.into()),
            ("ProcessCommandLine", (&program.command).into()),
            ("ProcessVersionInfoCompanyName", known(program.company)),
            ("ProcessVersionInfoProductName", known(program.product)),
            ("ProcessVersionInfoOriginalFileName", known(if program.company.is_empty() { "" } else { program.name })),
            ("ProcessVersionInfoFileDescription", known(program.description)),
            ("FileSize", (40_000 + self.chance.below(9_000_000) as i64).into()),
            ("ProcessId", (4 + self.chance.below(60_000) as i64).into()),
            ("ProcessUniqueId", self.chance.below(u64::MAX).to_string().into()),
            ("ProcessCreationTime", self.at.into()),
            ("ProcessIntegrityLevel", self.pick(&["Medium", "High", "System"]).into()),
            ("ProcessTokenElevation", "TokenElevationTypeDefault".into()),
            ("LogonId", (self.chance.below(9_000_000) as i64).into()),
            ("IsProcessRemoteSession", false.into()),
        ]);
        values
    }
}
