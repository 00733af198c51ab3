//! Files that another library opens once more, by their name.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
};

/// A file whose name is about to be opened once more in this process. Who can write to its folder may give the name to
/// another file meanwhile, so what was opened is asked for, and not what has the name.
pub struct ByName {
    file: File,
    before: usize,
}

impl ByName {
    /// The file, before its name is opened.
    pub fn of(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let before = descriptors_of(&file)?;
        Ok(Self { file, before })
    }

    /// Whether this file was opened since.
    pub fn is_opened(&self) -> bool {
        descriptors_of(&self.file).is_ok_and(|now| now > self.before)
    }
}

/// How many descriptors this process has of the file.
fn descriptors_of(file: &File) -> io::Result<usize> {
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let own = id(file.metadata()?);
    // Those that were closed meanwhile are none.
    let open = fs::read_dir("/proc/self/fd")?.filter_map(|entry| fs::metadata(entry.ok()?.path()).ok());
    Ok(open.filter(|open| id(open.clone()) == own).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_under_the_same_name_is_not_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = File::create_new(&path).unwrap();
        let by_name = ByName::of(&file).unwrap();
        assert!(!by_name.is_opened());
        let opened = File::open(&path).unwrap();
        assert!(by_name.is_opened());
        drop(opened);
        fs::rename(&path, folder.path().join("b")).unwrap();
        let _planted = File::create_new(&path).unwrap();
        assert!(!by_name.is_opened());
    }
}
