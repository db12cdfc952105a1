//! File systems that a test owns: mounted inside of the sandbox, and gone with it or earlier.
//! Never mounts anything that the rest of the machine could see.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted file system; unmounted, and its loop device let go, when it is dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts with these arguments of `mount` at a directory, which is made.
    pub fn new(arguments: &[&OsStr], at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        run("mount", arguments.iter().copied().chain([at.as_os_str()]))?;
        Ok(Self(at.to_path_buf()))
    }

    /// Makes a file system of this many bytes in an image file, and mounts it.
    pub fn image(kind: &str, options: &[&str], image: &Path, bytes: u64, at: &Path) -> Result<Self, String> {
        std::fs::File::create(image).unwrap().set_len(bytes).unwrap();
        let options = options.iter().map(OsStr::new).chain([image.as_os_str()]);
        run(&format!("mkfs.{kind}"), options)?;
        Self::new(&["-o".as_ref(), "loop".as_ref(), image.as_os_str()], at)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What is still in use goes with its last user.
        run("umount", ["--lazy".as_ref(), self.0.as_os_str()]).ok();
    }
}

/// Runs a program of the system; the error is what it said.
pub fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}
