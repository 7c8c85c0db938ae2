//! The Node.js service as a team runs it today: in an OCI container. In: the programs of this machine. Out: a bundle for `runc`, with Node.js and
//! the libraries it loads and nothing else, or a word why there is none.
//!
//! The container has its own processes, mounts, names and messages, and the host's network: what is measured is the service, not a bridge.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

/// A bundle of the OCI runtime specification (config.md, linux/config-linux.md).
pub(crate) struct Bundle {
    dir: PathBuf,
    /// The program that runs it.
    pub(crate) runc: PathBuf,
}

const ID: &str = "coracle-bench-node";

impl Bundle {
    /// Writes it, below `work`.
    pub(crate) fn write(work: &Path, service: &Path) -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a container takes root here"
        );
        let runc = program("runc").context("there is no runc (Debian: apt-get install runc)")?;
        let node = program("node").context("there is no Node.js")?;
        let node = node.canonicalize().context("finding Node.js")?;
        let bundle = Self {
            dir: work.join("container"),
            runc,
        };
        bundle.remove();
        let root = bundle.dir.join("rootfs");
        for empty in ["proc", "dev", "service"] {
            fs::create_dir_all(root.join(empty)).context("making the container's folders")?;
        }
        for file in [vec![node.clone()], libraries(&node)?].concat() {
            place(&root, &file, &file)?;
        }
        place(
            &root,
            &service.join("node/server.mjs"),
            Path::new("/service/server.mjs"),
        )?;
        place(
            &root,
            &service.join("keys.json"),
            Path::new("/service/keys.json"),
        )?;
        fs::write(bundle.dir.join("config.json"), config(&node).to_string())
            .context("writing the container's configuration")?;
        Ok(bundle)
    }

    /// Arguments for `runc`.
    pub(crate) fn command(&self) -> Vec<String> {
        let (state, bundle) = (self.state(), self.dir.display().to_string());
        let words = ["--root", &state, "run", "--bundle", &bundle, ID];
        words.map(ToString::to_string).to_vec()
    }

    fn state(&self) -> String {
        self.dir.join("state").display().to_string()
    }

    /// Ends it, also when it was left by a run that was killed.
    fn remove(&self) {
        let delete = ["--root", &self.state(), "delete", "--force", ID];
        // Nothing of that name is what is wanted.
        let _ = Command::new(&self.runc).args(delete).output();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.remove();
    }
}

fn config(node: &Path) -> serde_json::Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 65534, "gid": 65534 },
            "args": [node, "/service/server.mjs"],
            "env": ["KEYS=/service/keys.json"],
            "cwd": "/service",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
        ],
        "linux": {
            "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }],
        },
    })
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Programs for root are not always on everybody's path.
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// What the loader loads for it.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let said = Command::new("ldd")
        .arg(program)
        .output()
        .context("running ldd")?;
    if !said.status.success() {
        bail!(
            "ldd {}: {}",
            program.display(),
            String::from_utf8_lossy(&said.stderr)
        );
    }
    Ok(paths(&String::from_utf8_lossy(&said.stdout)))
}

fn paths(said: &str) -> Vec<PathBuf> {
    let words = said
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

fn place(root: &Path, from: &Path, to: &Path) -> anyhow::Result<()> {
    let to = root.join(to.strip_prefix("/").unwrap_or(to));
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir).context("making the container's folders")?;
    }
    fs::copy(from, &to).with_context(|| format!("copying {} for the container", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_files_in_what_ldd_says() {
        let said = "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(
            paths(said),
            [
                PathBuf::from("/lib/x/libc.so.6"),
                PathBuf::from("/lib64/ld-linux.so.2")
            ]
        );
    }
}
